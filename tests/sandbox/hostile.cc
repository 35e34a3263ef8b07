#include "tests/sandbox/hostile.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "runtime/request.h"

namespace krux::sandbox {
namespace {

int64_t NumberAt(const cbor::Map& map, const char* key) {
  const cbor::Value* value = map.Find(key);
  return value != nullptr && value->uint() != nullptr ? static_cast<int64_t>(*value->uint()) : -1;
}

}  // namespace

Limits HostileTest::Small() {
  Limits limits;
  limits.memory_bytes = 128ull << 20;
  limits.pids = 32;
  limits.wall_ms = 10'000;
  limits.result_bytes = 1u << 20;
  limits.file_bytes = 64u << 20;
  return limits;
}

void HostileTest::SetUp() {
  ASSERT_EQ(geteuid(), 0u) << "these tests start daemons under ids of their own and need root";
  HarnessOptions options;
  options.rootless = rootless();
  auto started = SpawndHarness::Start(options);
  ASSERT_TRUE(started) << started.error().message;
  harness_ = std::move(*started);
  work_ = std::make_unique<ScratchDir>(rootless() ? SpawndHarness::kRootlessId
                                                  : SpawndHarness::kClientId);
  std::filesystem::copy_file(KRUX_HOSTILE, InWork("hostile"));
  std::filesystem::permissions(InWork("hostile"), std::filesystem::perms(0755));
  spec_ = harness_->Prepare(work_->path(), WorkClass::kExec, true);
  ASSERT_TRUE(spec_) << spec_.error().message;
}

void HostileTest::Begin(std::vector<std::string> words, const Limits& limits, pid_t* worker) {
  Spec spec = *spec_;
  spec.call_id = FreshId();
  spec.limits = limits;
  runtime::Request request;
  request.capability = "proc.exec";
  cbor::Array argv{InWork("hostile")};
  for (std::string& word : words) argv.emplace_back(std::move(word));
  request.args = cbor::Map{{"argv", argv}, {"cwd", work_->path()}, {"timeout_ms", 10000u}};
  for (const PathRule& rule : spec.landlock)
    request.grants.push_back({rule.path, rule.read, rule.write, rule.exec});
  spec.request = runtime::EncodeRequest(request).value();
  ASSERT_TRUE(harness_->client().Spawn(spec));
  Result<Event> event = harness_->Wait();
  ASSERT_TRUE(event) << event.error().message;
  const auto* failed = std::get_if<Failed>(&*event);
  ASSERT_EQ(failed, nullptr) << failed->error.message;
  auto* ready = std::get_if<Ready>(&*event);
  ASSERT_NE(ready, nullptr);
  if (worker != nullptr) *worker = static_cast<pid_t>(*ready->receipt["pid"].value.uint());
  ASSERT_TRUE(harness_->client().Go(spec.call_id));
}

Ended HostileTest::End() {
  Ended ended;
  Result<Event> event = harness_->Wait();
  if (!event || !std::holds_alternative<Done>(*event)) {
    ADD_FAILURE() << "no end";
    return ended;
  }
  ended.ran = true;
  Done& done = std::get<Done>(*event);
  ended.end = done.end;
  ended.out = ResultData(done);
  if (const cbor::Value value = ResultMeta(done); value.map() != nullptr) {
    const cbor::Map& meta = *value.map();
    ended.answered = true;
    ended.code = static_cast<uint64_t>(NumberAt(meta, "code"));
    ended.limit = static_cast<Limit>(NumberAt(meta, "limit"));
    ended.truncated = *meta.Find("truncated") == cbor::Value(true);
    ended.exit = NumberAt(*meta.Find("data")->map(), "exit");
    ended.signal = NumberAt(*meta.Find("data")->map(), "signal");
  }
  ended.done = std::move(done);
  return ended;
}

Ended HostileTest::Run(std::vector<std::string> words, const Limits& limits) {
  Begin(std::move(words), limits, nullptr);
  if (HasFatalFailure()) return {};
  return End();
}

bool HostileTest::Gone() const {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    std::string word;
    if (std::getline(file, word, '\0') && word == InWork("hostile")) return false;
  }
  return true;
}

}  // namespace krux::sandbox
