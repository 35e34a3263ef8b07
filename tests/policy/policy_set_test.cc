// A set of files is taken whole or not at all; and the order of policies that a reload goes by
// never says that less is more.
#include "policy/policy_set.h"

#include <gtest/gtest.h>

namespace krux::policy {
namespace {

std::string Text(const std::string& name, const std::string& rest = "") {
  return "krux = 1\nname = \"" + name + "\"\n" + rest;
}

Policy Parsed(const std::string& rest) {
  auto policy = ParsePolicy(Text("team", rest), "team.toml");
  EXPECT_TRUE(policy.has_value()) << policy.error().message << "\n" << rest;
  return policy ? *policy : Policy();
}

TEST(PolicySet, HoldsTheShippedOnesAndTheOperators) {
  const auto set = PolicySet::Parse({OperatorFile("team.toml", Text("team"))});
  ASSERT_TRUE(set.has_value()) << set.error().message;
  EXPECT_TRUE(set->Find("team").has_value());
  EXPECT_TRUE(set->Find("read_only").has_value());
  EXPECT_EQ(set->OperatorNames(), std::vector<std::string>{"team"});
  const auto unknown = set->Find("teamm");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, ExitCode::kConfig);
  EXPECT_NE(unknown.error().message.find("did you mean `team`?"), std::string::npos);
}

TEST(PolicySet, FilesMayExtendEachOtherInAnyOrder) {
  const auto set = PolicySet::Parse(
      {OperatorFile("a.toml", Text("a", "extends = \"b\"\n")),
       OperatorFile("b.toml", Text("b",
                                   "extends = \"local_dev\"\n[levels]\nrun_exec = \"low_risk\"\n"
                                   "[exec]\nallow = [[\"make\"]]\n"))});
  ASSERT_TRUE(set.has_value()) << set.error().message;
  EXPECT_TRUE(Within(*set->Find("a"), *set->Find("b")));
}

TEST(PolicySet, AMistakeNamesItsFileLineAndColumn) {
  const struct {
    std::vector<PolicySource> files;
    const char* says;
  } rows[] = {
      {{OperatorFile("a.toml", Text("b"))}, "a.toml:1:1: the policy `b` must stand in `b.toml`"},
      {{OperatorFile("read_only.toml", Text("read_only"))}, "is the name of a shipped profile"},
      {{OperatorFile("a.toml", Text("a", "x = 1\n"))}, "a.toml:3:1: unknown key `x`"},
      {{OperatorFile("a.toml", Text("a", "[levels]\nread_files = \"allways\"\n"))}, "a.toml:4:"},
      {{OperatorFile("a.toml", "krux = 1\nname = \"a\nb")}, "a.toml:2:"},
      {{OperatorFile("a.toml", Text("a", "extends = \"b\"\n")),
        OperatorFile("b.toml", Text("b", "extends = \"a\"\n"))},
       "circle"},
      {{OperatorFile("a.toml", Text("a")), OperatorFile("a.toml", Text("a"))},
       "two files of this name"},
  };
  for (const auto& row : rows) {
    const auto set = PolicySet::Parse(row.files);
    ASSERT_FALSE(set.has_value()) << row.says;
    EXPECT_EQ(set.error().code, ExitCode::kConfig) << row.says;
    EXPECT_NE(set.error().message.find(row.says), std::string::npos) << set.error().message;
  }
}

// Each pair: the second allows something that the first does not.
TEST(Within, LooksAtEveryPartOfAPolicy) {
  const struct {
    const char* narrow;
    const char* wide;
  } rows[] = {
      {"", "[levels]\nread_files = \"always\"\n"},
      {"[levels]\nread_files = \"low_risk\"\n", "[levels]\nread_files = \"always\"\n"},
      {"[capabilities]\nallow = [\"fs.read\"]\n", ""},
      {"[approve]\nalways = [\"run_exec\"]\n", ""},
      {"[exposure]\ntrifecta = \"deny\"\n", "[exposure]\ntrifecta = \"ask\"\n"},
      {"[exposure]\ntrusted_action = \"deny\"\n", "[exposure]\ntrusted_action = \"ask\"\n"},
      {"[paths]\nread = []\n", "[paths]\nread = [\"${WORK}/**\"]\n"},
      {"[paths]\nread = [\"${WORK}/a\"]\n", "[paths]\nread = [\"${WORK}/a\", \"${WORK}/b\"]\n"},
      {"[paths]\nread = [\"${WORK}/a\"]\n", "[paths]\nread = \"any\"\n"},
      {"[paths]\nread = \"any\"\ndeny_read = [\"${WORK}/a\"]\n", "[paths]\nread = \"any\"\n"},
      {"", "[paths]\nwrite = [\"${WORK}/a\"]\n"},
      {"", "[paths]\npublic = [\"${WORK}/a\"]\n"},
      {"[paths]\nsensitive = [\"${WORK}/a\"]\n", ""},
      {"[paths]\nsecret = [\"${WORK}/a\"]\n", ""},
      {"", "[exec]\nallow = [[\"make\"]]\n"},
      {"", "[exec]\nprogram_trees = [\"/usr\"]\n"},
      {"", "[net]\nallow = [\"docs.python.org:443\"]\n"},
      {"", "[git]\nrefs = [\"refs/heads/x\"]\n"},
      {"", "[secrets]\nallow = [\"TOKEN\"]\n"},
      {"", "[mcp]\nallow = [\"x\"]\n"},
      {"[[rule]]\nwhen = \"fs.read\"\nthen = \"deny\"\n", ""},
      {"[[rule]]\nwhen = \"fs.read\"\nthen = \"deny\"\n",
       "[[rule]]\nwhen = \"fs.read\"\nthen = \"ask\"\n"},
      {"[budget]\ncalls = 5\n", "[budget]\ncalls = 6\n"},
      {"[budget]\ncalls = 5\n", ""},
      {"[delegate]\ndepth = 1\n", "[delegate]\ndepth = 2\n"},
      {"[isolation]\nrequire = [\"seccomp\"]\n", ""},
  };
  for (const auto& row : rows) {
    const Policy narrow = Parsed(row.narrow), wide = Parsed(row.wide);
    EXPECT_TRUE(Within(narrow, narrow)) << row.narrow;
    EXPECT_TRUE(Within(narrow, wide)) << row.narrow << "to " << row.wide;
    EXPECT_FALSE(Within(wide, narrow)) << row.narrow << "to " << row.wide;
    // Whatever a file says next: never more than the session had, nor than the file says.
    for (const Policy& after : {AfterReload(narrow, wide), AfterReload(wide, narrow)})
      EXPECT_TRUE(Within(after, narrow)) << row.narrow << "to " << row.wide;
  }
}

TEST(AfterReload, OfTwoThatDifferBothWaysTheSessionHasWhatBothAllow) {
  const Policy before =
      Parsed("[levels]\nread_files = \"always\"\n[paths]\nread = [\"${WORK}/a*\"]\n");
  const Policy file =
      Parsed("[levels]\nread_files = \"low_risk\"\n[paths]\nread = [\"${WORK}/*b\"]\n");
  const Policy after = AfterReload(before, file);
  EXPECT_TRUE(Within(after, before));
  EXPECT_TRUE(Within(after, file));
  const Scope bound = ForWork(after.read_paths, "/w");
  EXPECT_TRUE(CheckPath(bound, "/w/ab").inside);
  EXPECT_FALSE(CheckPath(bound, "/w/a").inside);
  EXPECT_FALSE(CheckPath(bound, "/w/b").inside);
  const auto again = PolicyFromText(after.text);
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_TRUE(Within(*again, after));
  EXPECT_TRUE(Within(after, *again)) << "what the log keeps is what decides";
  EXPECT_EQ(AfterReload(after, file).text, after.text) << "the same file again adds nothing";
}

}  // namespace
}  // namespace krux::policy
