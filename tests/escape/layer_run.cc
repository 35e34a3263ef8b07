// How a row of the layer-off table is run: a private krux-mountd and krux-spawnd of the test build,
// started with the switches of the row.

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "runtime/request.h"
#include "tests/escape/jail.h"
#include "tests/escape/layer_table.h"

namespace krux::sandbox {
namespace {

const std::map<std::string, long> kNumbers = {
#define N(name) {#name, SYS_##name}
    N(renameat2),       N(personality), N(fanotify_init), N(add_key), N(chmod),    N(clone),
    N(clone3),          N(connect),     N(creat),         N(fchmod),  N(fchmodat), N(ioctl),
    N(keyctl),          N(mkdir),       N(mkdirat),       N(mknod),   N(mknodat),  N(mmap),
    N(mount),           N(open),        N(openat),        N(openat2), N(ptrace),   N(request_key),
    N(socket),          N(socketpair),  N(unshare),
#undef N
    {"fchmodat2", 452},
};

bool Starts(const std::string& text, const char* prefix, std::string& rest) {
  const size_t size = std::strlen(prefix);
  if (text.compare(0, size, prefix) != 0) return false;
  rest = text.substr(size);
  return true;
}

const char* kSteps[] = {"bounding_set", "caps",       "dumpable",    "fds",  "hostname",
                        "ids",          "landlock",   "nftables",    "proc", "rlimits",
                        "seccomp",      "securebits", "no_new_privs"};

void Apply(const std::string& word, HarnessOptions& options) {
  std::string rest;
  std::vector<std::string>& flags = options.spawnd_flags;
  if (word == "own_filter") {
    flags.emplace_back("--test-without-own-filter");
  } else if (word == "keep_own_filter") {
    flags.emplace_back("--test-own-filter");
  } else if (word == "receipt") {
    flags.emplace_back("--test-ignore-receipt");
  } else if (word == "swap_owner") {
    options.mountd_flags.emplace_back("--test-swap-owner");
  } else if (Starts(word, "without:", rest)) {
    options.mountd_flags.insert(options.mountd_flags.end(), {"--test-without", rest});
  } else if (Starts(word, "ns:", rest)) {
    flags.insert(flags.end(), {"--test-skip-namespace", rest});
  } else if (Starts(word, "shared:", rest)) {
    flags.insert(flags.end(), {"--test-share-namespace", rest});
  } else if (Starts(word, "open:", rest)) {
    flags.insert(flags.end(), {"--test-open", std::to_string(kNumbers.at(rest))});
  } else if (std::find(std::begin(kSteps), std::end(kSteps), word) != std::end(kSteps)) {
    flags.insert(flags.end(), {"--test-skip", word});
  } else {
    flags.insert(flags.end(), {"--test-weaken", word});
  }
}

const EscapeCase* CaseOf(const std::string& program) {
  for (const EscapeCase& row : EscapeCases()) {
    if (program == row.program) return &row;
  }
  return nullptr;
}

cbor::Bytes WorkerRequest(const Spec& spec, const LayerRow& row, const Scene& scene) {
  runtime::Request request;
  request.capability = row.program;
  std::string word = scene.work().path();
  for (const char* reads_file : {"worker.map_executable", "worker.write_in_place"}) {
    if (std::strcmp(row.program, reads_file) == 0) word += "/file";
  }
  request.args = cbor::Map{{"words", cbor::Array{word}}};
  for (const PathRule& rule : spec.landlock)
    request.grants.push_back({rule.path, rule.read, rule.write, rule.exec});
  return runtime::EncodeRequest(request).value();
}

std::string Refused(const Error& error, const std::string& layer) {
  if (error.code != ExitCode::kSandbox) return "failed: " + error.message;
  return "refused by " + layer + ": " + error.message;
}

}  // namespace

std::string RunWithout(const LayerRow& row, const Switches& switches, bool receipt_check) {
  HarnessOptions options;
  options.hooks = true;
  if (!receipt_check) options.spawnd_flags.emplace_back("--test-ignore-receipt");
  for (const char* word : switches) Apply(word, options);
  auto harness = SpawndHarness::Start(options);
  if (!harness) return "failed: " + harness.error().message;
  const bool worker = std::string(row.program).starts_with("worker.");
  Scene scene(SpawndHarness::kClientId, SpawndHarness::kWorkerId, worker ? "" : row.program);
  if (worker) {
    scene.work().Write("file", std::string(8192, 'x'), 0755);
  } else if (const EscapeCase* found = CaseOf(row.program); found == nullptr) {
    return "failed: no such program";
  } else if (found->prepare != nullptr) {
    found->prepare(scene);
  }
  Result<Spec> spec = (*harness)->Prepare(scene.work().path(), row.work_class,
                                          row.work_class != WorkClass::kFs && scene.writable);
  if (!spec) return Refused(spec.error(), "mount");
  spec->limits = scene.limits;
  std::string said;
  // A trace that one call leaves is found by the next one of the same session.
  const int times = std::strcmp(row.program, "worker.mount_for_others") == 0 ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    spec->call_id = FreshId();
    spec->request = worker ? WorkerRequest(*spec, row, scene) : ExecRequest(*spec, scene);
    const Result<Event> event = (*harness)->RunToEnd(*spec);
    if (!event) return "failed: " + event.error().message;
    const auto* failed = std::get_if<Failed>(&*event);
    said = failed != nullptr ? Refused(failed->error, failed->layer) : Verdict(*event);
  }
  if (!said.empty() && said.back() == '\n') said.pop_back();
  return said;
}

std::string Readable(const Switches& switches) {
  std::string text;
  for (const std::string word : switches) {
    std::string rest, said = word;
    if (word == "keep_own_filter") continue;
    if (Starts(word, "ns:", rest)) said = rest + " namespace";
    if (Starts(word, "shared:", rest)) said = "spawnd's own " + rest + " namespace";
    if (Starts(word, "open:", rest)) said = "seccomp for " + rest;
    if (Starts(word, "without:", rest)) said = rest;
    if (Starts(word, "seccomp_", rest)) said = "seccomp for " + rest;
    if (Starts(word, "landlock_", rest)) said = "landlock for " + rest;
    if (word == "own_filter") said = "spawnd's own filter";
    if (word == "loopback") said = "loopback is down";
    if (word == "host_root") said = "template as root";
    if (word == "swap_owner") said = "the caller's ids alone are swapped";
    if (word == "receipt") said = "receipt check";
    text += (text.empty() ? "" : ", ") + said;
  }
  return text.empty() ? "–" : text;
}

}  // namespace krux::sandbox
