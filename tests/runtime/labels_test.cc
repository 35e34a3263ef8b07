#include "runtime/labels.h"

#include <gtest/gtest.h>

#include "runtime/plan.h"
#include "runtime/request.h"

namespace krux::runtime {
namespace {

using policy::kPrivateData;
using policy::kUntrustedContent;

constexpr policy::Exposure kBoth = kPrivateData | kUntrustedContent;

const Place kProject = PlaceOf("/home/ann/project");

TEST(Labels, AFileThatWasLabelledHasItsLabelInEverySession) {
  LabelStore labels;
  EXPECT_EQ(labels.At(kProject, "/home/ann/project/a.md"), 0);
  const cbor::Array added = labels.Add(kProject, "/home/ann/project/a.md", kBoth, false);
  EXPECT_FALSE(added.empty());
  EXPECT_EQ(labels.At(kProject, "/home/ann/project/a.md"), kBoth);
  EXPECT_EQ(labels.At(kProject, "/home/ann/project/b.md"), 0);
  EXPECT_EQ(labels.At(kProject, "/home/ann/project/a.md/x"), 0) << "it is no tree";
  EXPECT_EQ(labels.At(kProject, "/home/ann/project"), kBoth) << "its name is listed there";
  EXPECT_EQ(labels.At(kProject, "/home/ann"), 0);
  EXPECT_EQ(labels.Anywhere(kProject), kBoth);
}

TEST(Labels, ATreeReachesEverythingBeneath) {
  LabelStore labels;
  labels.Recorded(cbor::Bytes(kProject.id.begin(), kProject.id.end()),
                  labels.Add(kProject, "/home/ann/project/build", kUntrustedContent, true));
  EXPECT_EQ(labels.At(kProject, "/home/ann/project/build/x/y/z"), kUntrustedContent);
  EXPECT_EQ(labels.At(kProject, "/home/ann/project/buildx"), 0);
  EXPECT_TRUE(labels.Add(kProject, "/home/ann/project/build/x", kUntrustedContent, false).empty())
      << "nothing new";
  EXPECT_FALSE(labels.Add(kProject, "/home/ann/project/build/x", kBoth, false).empty());
}

TEST(Labels, WhatIsRecordedOnceIsNotSaidAgain) {
  LabelStore labels;
  const cbor::Bytes work(kProject.id.begin(), kProject.id.end());
  const cbor::Array first = labels.Add(kProject, "/home/ann/project/a", kBoth, false);
  EXPECT_EQ(first.size(), 1 + kProject.above.size()) << "with the directories above WORK";
  labels.Recorded(work, first);
  EXPECT_TRUE(labels.Add(kProject, "/home/ann/project/a", kUntrustedContent, false).empty());
  EXPECT_EQ(labels.Add(kProject, "/home/ann/project/b", kBoth, false).size(), 1u);
}

// A record that failed took its label with it: the next call that writes the file must say it, or a
// restart would forget it.
TEST(Labels, WhatWasNeverRecordedIsSaidAgain) {
  LabelStore labels;
  const cbor::Array lost = labels.Add(kProject, "/home/ann/project/a", kBoth, false);
  EXPECT_EQ(labels.At(kProject, "/home/ann/project/a"), kBoth) << "heeded all the same";
  EXPECT_EQ(labels.Add(kProject, "/home/ann/project/a", kBoth, false), lost);
}

// Not by opening a directory inside it, or around it, as one's WORK.
TEST(Labels, AnotherWorkDoesNotWashAFile) {
  LabelStore labels;
  labels.Add(kProject, "/home/ann/project/src/a.c", kBoth, false);
  const Place inside = PlaceOf("/home/ann/project/src"), around = PlaceOf("/home/ann");
  EXPECT_EQ(labels.At(inside, "/home/ann/project/src/a.c"), kBoth);
  EXPECT_EQ(labels.At(around, "/home/ann/project/src/a.c"), kBoth);
  EXPECT_EQ(labels.Anywhere(inside), kBoth);
  EXPECT_EQ(labels.Anywhere(around), kBoth);
  const Place beside = PlaceOf("/home/ann/other"), root = PlaceOf("/");
  EXPECT_EQ(labels.Anywhere(beside), 0);
  EXPECT_EQ(labels.Anywhere(root), kBoth);
  LabelStore wide;
  wide.Add(around, "/home/ann", kBoth, true);
  EXPECT_EQ(wide.At(beside, "/home/ann/other/x"), kBoth);
}

TEST(Labels, OneThatLiesDeeperThanAnybodyCountsMeetsAll) {
  std::string path = "/d";
  for (size_t i = 0; i < kMostAbove; ++i) path += "/d";
  LabelStore labels;
  const Place deep = PlaceOf(path);
  EXPECT_EQ(labels.Add(deep, path + "/a", kBoth, false).size(), 2u);
  EXPECT_EQ(labels.Anywhere(PlaceOf("/d/d")), kBoth);
  EXPECT_EQ(labels.Anywhere(kProject), kBoth) << "over-cautious, and never blind";
}

TEST(Labels, ComeBackFromTheirRecords) {
  LabelStore before, after;
  cbor::Array written = before.Add(kProject, "/home/ann/project/src/a.c", kBoth, false);
  for (cbor::Value& more : before.Add(kProject, "/home/ann/project/out", kUntrustedContent, true))
    written.push_back(std::move(more));
  after.Restore(cbor::Bytes(kProject.id.begin(), kProject.id.end()), written);
  for (const char* path :
       {"/home/ann/project/src/a.c", "/home/ann/project/src", "/home/ann/project/out/x",
        "/home/ann/project/out", "/home/ann/project", "/home/ann/project/b"})
    EXPECT_EQ(after.At(kProject, path), before.At(kProject, path)) << path;
  EXPECT_EQ(after.Anywhere(PlaceOf("/home/ann")), kBoth);
  EXPECT_EQ(after.Anywhere(PlaceOf("/home/bob")), 0);
}

TEST(Labels, WhatCannotBeReadIsALabelOnEverything) {
  const cbor::Bytes work(kProject.id.begin(), kProject.id.end());
  cbor::Bytes flags = Encode(Label{kProject.id, {}, kUntrustedContent, false, false});
  flags.back() |= 0x04;
  for (const cbor::Value& bad : {cbor::Value(cbor::Bytes()), cbor::Value(cbor::Bytes(32)),
                                 cbor::Value("text"), cbor::Value(flags)}) {
    LabelStore labels;
    labels.Restore(work, cbor::Array{bad});
    EXPECT_EQ(labels.At(kProject, "/home/ann/project/any"), kBoth) << cbor::Diagnostic(bad);
    EXPECT_EQ(labels.Anywhere(PlaceOf("/srv")), 0);
  }
  for (const cbor::Bytes& id : {cbor::Bytes(16), cbor::Bytes(3)}) {
    LabelStore labels;
    labels.Restore(id, {});
    EXPECT_EQ(labels.At(PlaceOf("/srv"), "/srv/x"), kBoth) << "every WORK";
  }
}

TEST(Labels, TooManyBecomeOneOnEverythingAndStayRecordable) {
  LabelStore labels, restored;
  cbor::Array written;
  for (size_t i = 0; i <= LabelStore::kMostLabels; ++i) {
    const cbor::Array added =
        labels.Add(kProject, "/home/ann/project/f" + std::to_string(i), kUntrustedContent, false);
    labels.Recorded(cbor::Bytes(kProject.id.begin(), kProject.id.end()), added);
    written.insert(written.end(), added.begin(), added.end());
  }
  EXPECT_EQ(labels.At(kProject, "/home/ann/project/never-written"), kBoth);
  EXPECT_LT(written.size(), 1024u) << "what krux-auditd carries of one WORK";
  EXPECT_TRUE(labels.Add(kProject, "/home/ann/project/more", kBoth, false).empty());
  restored.Restore(cbor::Bytes(kProject.id.begin(), kProject.id.end()), written);
  EXPECT_EQ(restored.At(kProject, "/home/ann/project/never-written"), kBoth);
}

// --- what a call brings and leaves behind

class LabelledPlan : public testing::Test {
 protected:
  PlanSession Session(policy::Exposure exposure) {
    PlanSession session;
    session.work = kProject.path;
    session.session_id = cbor::Bytes(16, 7);
    session.exposure = exposure;
    session.labels = &labels_;
    session.place = &kProject;
    return session;
  }
  Plan Planned(const char* capability, const cbor::Map& args, policy::Exposure exposure = 0) {
    const Capability& cap = *FindCapability(capability);
    Result<Plan> plan =
        MakePlan(cap, *Bind(cap, args), *policy::FindProfile("local_dev"), Session(exposure));
    EXPECT_TRUE(plan) << plan.error().message;
    return *plan;
  }
  bool Untrusted(const Plan& plan) const {
    const bool brings = (plan.call.contribution & kUntrustedContent) != 0;
    EXPECT_EQ(brings, plan.footprint.reads_untrusted) << "what is declared is what is granted";
    return brings;
  }

  LabelStore labels_;
  const cbor::Map file_{{"path", "/home/ann/project/a.md"}};
  const cbor::Map write_{{"path", "/home/ann/project/a.md"}, {"content", "x"}};
  const cbor::Map make_{{"argv", cbor::Array{"make"}}};
};

TEST_F(LabelledPlan, EveryWayToAFileBringsWhatItsLabelSays) {
  for (const char* capability : {"fs.read", "fs.stat", "fs.list"})
    EXPECT_FALSE(Untrusted(Planned(capability, file_))) << capability;
  EXPECT_FALSE(Untrusted(Planned("fs.write", write_)));
  EXPECT_FALSE(Untrusted(Planned("proc.exec", make_)));
  labels_.Add(kProject, "/home/ann/project/a.md", kUntrustedContent, false);
  for (const char* capability : {"fs.read", "fs.stat", "fs.list"})
    EXPECT_TRUE(Untrusted(Planned(capability, file_))) << capability;
  EXPECT_TRUE(Untrusted(Planned("fs.write", write_))) << "its digest is told";
  EXPECT_TRUE(Untrusted(Planned("proc.exec", make_))) << "a program may read all of WORK";
  EXPECT_TRUE(Untrusted(Planned("fs.list", {{"path", "/home/ann/project"}})));
  EXPECT_FALSE(Untrusted(Planned("fs.read", {{"path", "/home/ann/project/b.md"}})));
}

TEST_F(LabelledPlan, AWriteLeavesWhatItsSessionHasSeen) {
  EXPECT_TRUE(Planned("fs.write", write_).labels.empty());
  EXPECT_TRUE(Planned("fs.write", write_, kPrivateData).labels.empty())
      << "that is what every file is taken for";
  const Plan plan = Planned("fs.write", write_, kBoth | policy::kExfilVector);
  ASSERT_EQ(plan.labels.size(), 1u);
  EXPECT_EQ(plan.labels[0].path, "/home/ann/project/a.md");
  EXPECT_FALSE(plan.labels[0].tree);
  EXPECT_EQ(plan.label_legs, kBoth);
  EXPECT_TRUE(DecodeRequest(plan.spec.request)->as_named)
      << "a link would carry the content past its label";
  EXPECT_FALSE(DecodeRequest(Planned("fs.write", write_).spec.request)->as_named);
}

TEST_F(LabelledPlan, WhatIsPublicIsNoPrivateDataUntilSomebodyPutsSomeThere) {
  const policy::Policy policy = *policy::ParsePolicy(
      "krux = 1\nname = \"t\"\n[levels]\nread_files = \"always\"\nwrite_files = "
      "\"always\"\nrun_exec = \"always\"\n[paths]\nread = [\"${WORK}/**\"]\nwrite = "
      "[\"${WORK}/**\"]\npublic = [\"${WORK}/docs/**\"]\n[exec]\nallow = [[\"**\"]]\n",
      "t.toml");
  const auto planned = [&](const char* capability, const cbor::Map& args,
                           policy::Exposure exposure = 0) {
    const Capability& cap = *FindCapability(capability);
    const Plan plan = *MakePlan(cap, *Bind(cap, args), policy, Session(exposure));
    EXPECT_EQ((plan.call.contribution & kPrivateData) != 0, plan.footprint.reads_private);
    return plan;
  };
  const cbor::Map open{{"path", "/home/ann/project/docs/a.md"}};
  EXPECT_EQ(planned("fs.read", open).call.contribution, 0);
  EXPECT_EQ(planned("fs.read", file_).call.contribution, kPrivateData);
  EXPECT_EQ(planned("proc.exec", make_).call.contribution, kPrivateData);
  cbor::Map write = open;
  write.Set("content", "x");
  EXPECT_TRUE(planned("fs.write", write).labels.empty());
  const Plan put = planned("fs.write", write, kPrivateData);
  ASSERT_EQ(put.labels.size(), 1u);
  labels_.Add(kProject, put.labels[0].path, put.label_legs, put.labels[0].tree);
  EXPECT_EQ(planned("fs.read", open).call.contribution, kPrivateData);
}

TEST_F(LabelledPlan, WhatIsSensitiveIsOfElevatedRiskAndNotReachedByALink) {
  const policy::Policy policy = *policy::ParsePolicy(
      "krux = 1\nname = \"t\"\n[levels]\nread_files = \"low_risk\"\n[paths]\nread = "
      "[\"${WORK}/**\"]\nsensitive = [\"**/*.pem\"]\n",
      "t.toml");
  const auto planned = [&](const char* path) {
    const Capability& cap = *FindCapability("fs.read");
    return *MakePlan(cap, *Bind(cap, cbor::Map{{"path", path}}), policy, Session(0));
  };
  const Plan pem = planned("/home/ann/project/a.pem"), other = planned("/home/ann/project/a");
  EXPECT_EQ(pem.call.risk, policy::Risk::kElevated);
  EXPECT_EQ(other.call.risk, policy::Risk::kLow);
  EXPECT_TRUE(DecodeRequest(pem.spec.request)->sensitive.empty());
  EXPECT_EQ(DecodeRequest(other.spec.request)->sensitive.size(), 1u);
  EXPECT_TRUE(pem.footprint.within_grants && other.footprint.within_grants);
  sandbox::Spec spec = other.spec;
  Request careless = *DecodeRequest(spec.request);
  careless.sensitive.clear();
  spec.request = *EncodeRequest(careless);
  EXPECT_FALSE(FootprintOf(spec, policy, Session(0)).within_grants);
}

TEST_F(LabelledPlan, AProgramLeavesWhatItMaySeeInAllThatItMayWrite) {
  EXPECT_TRUE(Planned("proc.exec", make_, kPrivateData).labels.empty());
  Plan plan = Planned("proc.exec", make_, kUntrustedContent);
  ASSERT_EQ(plan.labels.size(), 1u);
  EXPECT_EQ(plan.labels[0].path, kProject.path);
  EXPECT_TRUE(plan.labels[0].tree);
  labels_.Add(kProject, "/home/ann/project/a.md", kUntrustedContent, false);
  plan = Planned("proc.exec", make_);
  EXPECT_EQ(plan.labels.size(), 1u) << "the program itself brings it";
  EXPECT_EQ(plan.label_legs, kBoth);
}

}  // namespace
}  // namespace krux::runtime
