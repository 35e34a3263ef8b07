// Writes the first inputs of every fuzz target, made by krux's own encoders, so that a fuzzer
// starts where the formats are and not at empty bytes.
//
//   krux_fuzz_seeds fuzz/corpus
#include <filesystem>
#include <fstream>

#include "audit/message.h"
#include "fuzz/target.h"
#include "gateway/protocol.h"
#include "gateway/supervisor_message.h"
#include "policy/policy_file.h"
#include "runtime/request.h"
#include "sandbox/mount_wire.h"
#include "sandbox/result.h"
#include "sandbox/spawn_wire.h"
#include "tests/audit/log_fixture.h"
#include "verification/diff/generate.h"

namespace krux {
namespace {

struct Seeds {
  std::filesystem::path folder;
  void Write(const std::string& name, std::string_view bytes) const {
    std::filesystem::create_directories(folder);
    std::ofstream(folder / ("seed-" + name), std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  void Write(const std::string& name, const cbor::Bytes& bytes) const {
    Write(name, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  // With the byte that chooses the reader.
  void Write(const std::string& name, uint8_t choice, const cbor::Bytes& bytes) const {
    cbor::Bytes all{choice};
    all.insert(all.end(), bytes.begin(), bytes.end());
    Write(name, all);
  }
};

const cbor::Bytes kId(16, 7);

cbor::Value EveryType() {
  return cbor::Map{{0, -1},
                   {"array", cbor::Array{true, false, nullptr, 1u << 20, "text \u00e9"}},
                   {"bytes", cbor::Bytes(300, 1)},
                   {"nested", cbor::Array{cbor::Array{cbor::Array{cbor::Map{}}}}}};
}

void CborSeeds(const Seeds& seeds) {
  seeds.Write("every-type", cbor::Encode(EveryType()));
  seeds.Write("intent", cbor::Encode(audit::IntentDraft(1).body));
  seeds.Write("outcome", cbor::Encode(audit::OutcomeDraft(1, 2).body));
}

// The choices are the order of kReaders in frames_fuzz.cc.
void FrameSeeds(const Seeds& seeds) {
  using namespace gateway;
  seeds.Write("hello", 0, Encode(HelloRequest{}));
  seeds.Write("hello-reply", 1, Encode(HelloReply{1, 2, "embedded", "0.1.0", {"cgroup"}}));
  seeds.Write("open", 2, Encode(OpenRequest{"local_dev"}));
  seeds.Write("opened", 3, Encode(OpenReply{kId, "/w", "read_only", {}}));
  CallRequest call;
  call.session = kId;
  call.capability = "fs.read";
  call.args = cbor::Map{{"path", "/w/README.md"}};
  seeds.Write("call", 4, Encode(call));
  CallReply reply;
  reply.data = cbor::Map{{"size", 7u}};
  reply.exposure = {"private_data"};
  seeds.Write("result", 5, Encode(reply));
  seeds.Write("status", 6, Encode(StatusReply{}));
  seeds.Write("checkpoint", 7, Encode(CheckpointReply{9}));
  seeds.Write("error", 8, Encode(ErrorReply{ExitCode::kBadData, "why"}));
  seeds.Write("append", 9, audit::EncodeAppend(1, audit::IntentDraft(1)));
  seeds.Write("ack", 10, audit::EncodeAck({1, 2, "the disk is full", {}}));
  seeds.Write("supervisor", 15, Encode(SupervisorMessage{SupervisorMessage::Type::kClients, 3}));
  const runtime::Request request{
      "fs.read", cbor::Map{{"path", "/w/a"}}, {{"/w", true, false, false}}, {}};
  seeds.Write("request", 16, runtime::EncodeRequest(request).value_or(cbor::Bytes{}));
}

void SandboxSeeds(const Seeds& seeds) {
  using namespace sandbox;
  Spec spec;
  spec.call_id = spec.session_id = kId;
  spec.landlock = {{"/w", true, false, false}};
  spec.request = cbor::Bytes(9, 1);
  seeds.Write("spawn", 11, wire::EncodeRequest(wire::SpawnCall{spec}));
  TemplateSpec tree;
  tree.session_id = kId;
  tree.program_trees = {"/usr"};
  seeds.Write("template", 11, wire::EncodeRequest(wire::BuildTemplate{1, 2, tree}));
  seeds.Write("work", 12, wire::EncodeEvent(WorkOpened{1, 2, "/w", 3, 4, 5, 6}));
  seeds.Write(
      "failed", 12,
      wire::EncodeEvent(Failed{1, kId, {ExitCode::kSandbox, 1, "mount", "why"}, "mount", {}}));
  seeds.Write("mounts-wanted", 13,
              mountwire::EncodeRequest(mountwire::GetMounts{1, 2, true, false, {"/usr"}}));
  seeds.Write("mounts", 14,
              mountwire::EncodeReply(mountwire::Mounts{1, "swap", "", {{"/usr", "dir", ""}}}));
  // An answer as a worker lays it out: header, meta at its offset, data at its offset.
  cbor::Bytes answer(kResultDataOffset + 16, 0);
  const cbor::Bytes meta = cbor::Encode(
      cbor::Map{{"code", 0u}, {"data", cbor::Map{}}, {"message", ""}, {"truncated", false}});
  const ResultHeader header{kResultMagic, static_cast<uint32_t>(meta.size()), 16};
  std::copy_n(reinterpret_cast<const uint8_t*>(&header), sizeof header, answer.begin());
  std::copy(meta.begin(), meta.end(), answer.begin() + kResultMetaOffset);
  seeds.Write("answer", 17, answer);
}

void PolicySeeds(const Seeds& seeds) {
  for (const std::string_view name : policy::ProfileNames())
    seeds.Write(std::string(name), policy::ProfileText(name));
  seeds.Write(
      "extends",
      "krux = 1\nname = \"team\"\nextends = \"local_dev\"\n[levels]\nread_files = \"always\"\n"
      "[paths]\nread = [\"${WORK}/src/**\", \"**/*.md\"]\n[exec]\nallow = [[\"pytest\", "
      "\"**\"]]\n");
  seeds.Write(
      "config",
      "ceiling = \"local_dev\"\n[sandbox]\nallow_degraded = [\"cgroup\"]\nhost_uid = 61100\n");
}

void KernelSeeds(const Seeds& seeds) {
  for (uint64_t run = 0; run < 8; ++run)
    seeds.Write("run-" + std::to_string(run), diff::RandomBytes(1, run));
}

void LogSeeds(const Seeds& seeds) {
  audit::TestFolder folder(audit::TestFolder::kMemory);
  auto log = audit::Log::Open(folder.Options());
  if (!log) return;
  const audit::Draft drafts[] = {audit::IntentDraft(1), audit::DenialDraft(2),
                                 audit::OutcomeDraft(1, 1)};
  (void)(*log)->Append(drafts);
  const cbor::Bytes segment = audit::ReadBytes(folder.SegmentPath(0));
  seeds.Write("segment", 0, segment);
  cbor::Bytes cut(segment.begin(), segment.end() - 40);
  seeds.Write("torn", 0, cut);
  cbor::Bytes records;
  for (const audit::Draft& draft : drafts) {
    const cbor::Bytes body = cbor::Encode(draft.body);
    records.push_back(static_cast<uint8_t>(body.size() >> 8));
    records.push_back(static_cast<uint8_t>(body.size()));
    records.insert(records.end(), body.begin(), body.end());
  }
  seeds.Write("records", 1, records);
  seeds.Write("edit", 2, cbor::Bytes{0, 40, 1, 1, 0, 0x80});
}

}  // namespace
}  // namespace krux

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const std::filesystem::path corpus = argv[1];
  krux::CborSeeds({corpus / "cbor"});
  krux::FrameSeeds({corpus / "frames"});
  krux::SandboxSeeds({corpus / "frames"});
  krux::PolicySeeds({corpus / "policy"});
  krux::KernelSeeds({corpus / "kernel"});
  krux::LogSeeds({corpus / "log"});
  return 0;
}
