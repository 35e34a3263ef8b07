#include "tests/runtime/worker/serving.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "base/unique_fd.h"
#include "runtime/worker/serve.h"
#include "sandbox/seccomp.h"

namespace krux::runtime {
namespace {

// Ends by the bare system call: AddressSanitizer hooks what never returns, with calls that the
// filter refuses.
void Child(const sandbox::WorkerContext& context, const ServeOptions& options) {
  alarm(60);  // whatever goes wrong, the test ends
  if (options.before) options.before();
  if (options.pid_namespace) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) _exit(99);
    const pid_t init = fork();
    if (init != 0) {
      int status = 0;
      waitpid(init, &status, 0);
      _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
    }
  }
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (LoadFilter(sandbox::FilterFor(context.work_class)) != 0) _exit(97);
  syscall(SYS_exit_group, Serve(context));
}

void ReadAnswer(const uint8_t* map, uint64_t capacity, Served& served) {
  sandbox::ResultHeader header;
  std::memcpy(&header, map, sizeof header);
  if (header.magic != sandbox::kResultMagic) return;
  ASSERT_LE(header.meta_bytes, sandbox::kResultMetaMax);
  ASSERT_LE(header.data_bytes, capacity);
  const Result<cbor::Value> meta =
      cbor::Decode({map + sandbox::kResultMetaOffset, header.meta_bytes});
  ASSERT_TRUE(meta) << meta.error().message;
  cbor::MapReader r(*meta, "meta");
  served.code = static_cast<ExitCode>(r.Uint("code", 255));
  served.data = r.Submap("data");
  served.message = r.Text("message");
  served.truncated = r.Boolean("truncated");
  served.limit = static_cast<sandbox::Limit>(r.Uint("limit", 255));
  ASSERT_TRUE(r.Finish());
  served.meta_bytes = header.meta_bytes;
  served.bytes.assign(reinterpret_cast<const char*>(map) + sandbox::kResultDataOffset,
                      header.data_bytes);
  served.answered = true;
}

}  // namespace

TempTree::TempTree() {
  std::string name =
      std::filesystem::canonical(testing::TempDir()).string() + "/krux-worker-XXXXXX";
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  path_ = name;
}

TempTree::~TempTree() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void TempTree::Write(std::string_view name, std::string_view text) const {
  const std::filesystem::path path = *this / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

void TempTree::Link(std::string_view name, const std::string& target) const {
  const std::string path = *this / name;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  EXPECT_EQ(symlink(target.c_str(), path.c_str()), 0);
}

uint64_t Served::Number(const char* key) const {
  const cbor::Value* value = data.Find(key);
  return value != nullptr && value->uint() != nullptr ? *value->uint() : UINT64_MAX;
}

std::string Served::Text(const char* key) const {
  const cbor::Value* value = data.Find(key);
  return value != nullptr && value->text() != nullptr ? *value->text() : "(none)";
}

Served ServeBytes(const cbor::Bytes& request, const ServeOptions& options) {
  const uint64_t size = sandbox::kResultDataOffset + options.capacity;
  const int fd = memfd_create("result", MFD_CLOEXEC);
  EXPECT_EQ(ftruncate(fd, static_cast<off_t>(size)), 0);
  auto* map = static_cast<uint8_t*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  sandbox::WorkerContext context{request, options.work_class, fd, map, options.capacity};
  UniqueFd input;
  if (options.input) {
    input.reset(memfd_create("input", MFD_CLOEXEC));
    EXPECT_EQ(write(input.get(), options.input->data(), options.input->size()),
              static_cast<ssize_t>(options.input->size()));
    context.input_fd = input.get();
    context.input_bytes = options.input->size();
  }
  const pid_t pid = fork();
  if (pid == 0) Child(context, options);
  if (options.meanwhile) options.meanwhile(pid);
  int status = 0;
  waitpid(pid, &status, 0);
  Served served;
  served.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1000 - WTERMSIG(status);
  ReadAnswer(map, options.capacity, served);
  munmap(map, size);
  close(fd);
  return served;
}

Served ServeCall(const Request& request, const ServeOptions& options) {
  const Result<cbor::Bytes> bytes = EncodeRequest(request);
  EXPECT_TRUE(bytes) << bytes.error().message;
  return ServeBytes(*bytes, options);
}

policy::Scope ScopeOf(const std::vector<std::string>& patterns, std::string_view work) {
  policy::Clause clause{false, {}, "team:7 paths.read"};
  for (const std::string& text : patterns)
    clause.allow.push_back(*policy::CompilePath(text, clause.rule));
  return policy::ForWork(policy::Scope{{clause}}, work);
}

Request FsCall(const char* capability, const std::string& root, const std::string& path) {
  Request request{capability,
                  cbor::Map{{"path", path}, {"offset", 0u}, {"limit", 16u << 20}},
                  {{root, true, false, false}},
                  {}};
  request.read_scope = ScopeOf({"${WORK}/**"}, root);
  return request;
}

}  // namespace krux::runtime
