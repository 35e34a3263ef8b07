#include "tests/escape/misbehaving_worker.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "runtime/request.h"
#include "runtime/worker/answer.h"
#include "runtime/worker/fs_calls.h"
#include "runtime/worker/serve.h"
#include "sandbox/child.h"
#include "sandbox/result.h"

namespace krux::sandbox {
namespace {

using Words = std::vector<std::string>;

std::string Escaped(const std::string& what) { return "ESCAPED: " + what + "\n"; }
std::string Contained(const char* call) {
  return std::string("contained: ") + call + ": " + strerrorname_np(errno) + "\n";
}

// words[0]: WORK. A tmpfs over it, for this call or, where the mount namespace is not its own, for
// every later one.
std::string Mount(const Words& words) {
  if (access((words[0] + "/mounted-by-a-call").c_str(), F_OK) == 0)
    return Escaped("another call's mount is here");
  if (mount("none", words[0].c_str(), "tmpfs", 0, nullptr) != 0) return Contained("mount");
  close(open((words[0] + "/mounted-by-a-call").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  return Escaped("mounted a tmpfs over WORK");
}

// The same, but a mount that only this call sees is nothing to tell.
std::string MountForOthers(const Words& words) {
  if (access((words[0] + "/mounted-by-a-call").c_str(), F_OK) == 0)
    return Escaped("another call's mount is here");
  (void)Mount(words);
  return "contained: no other call's mount is here\n";
}

// Renames the machine that krux-spawnd lives in, where the name is not the call's own.
std::string RenameMachine(const Words&) {
  if (sethostname("renamed", 7) == 0) return Escaped("sethostname");
  return Contained("sethostname");
}

std::string Descriptors(const Words&) {
  for (int fd = kWorkerFds; fd < 1024; ++fd) {
    struct stat st{};
    if (fstat(fd, &st) == 0)
      return Escaped("descriptor " + std::to_string(fd) +
                     (S_ISSOCK(st.st_mode) ? " is a socket of krux-spawnd" : " is open"));
  }
  return "contained: only 0 to 4 are open\n";
}

// words[0]: a file of WORK. Content of an ungranted-for-executing tree becomes code.
std::string MapExecutable(const Words& words) {
  const UniqueFd fd(open(words[0].c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return "BROKEN: open\n";
  if (mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd.get(), 0) == MAP_FAILED)
    return Contained("mmap");
  return Escaped("mapped a file of WORK as code");
}

// words[0]: a file of WORK. Writes it where it lies, under every name that it has.
std::string WriteInPlace(const Words& words) {
  const UniqueFd fd(open(words[0].c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return Contained("open");
  return Escaped("a file of WORK is open for writing");
}

// Hands its capabilities on to the program that it starts.
std::string RaiseAmbient(const Words&) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return "BROKEN: capget\n";
  for (auto& half : data) half.inheritable = half.permitted;
  if (syscall(SYS_capset, &header, data) != 0) return Contained("capset");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) != 0)
    return Contained("prctl");
  return Escaped("programs would start with CAP_SYS_ADMIN");
}

struct Row {
  const char* name;
  std::string (*run)(const Words&);
};
constexpr Row kTable[] = {{"mount", Mount},
                          {"mount_for_others", MountForOthers},
                          {"rename_machine", RenameMachine},
                          {"descriptors", Descriptors},
                          {"map_executable", MapExecutable},
                          {"write_in_place", WriteInPlace},
                          {"raise_ambient", RaiseAmbient}};

// What came back from reading one name again and again while somebody swaps it.
struct Seen {
  uint64_t granted = 0;  // the content that belongs there
  uint64_t link = 0;     // refused: a link that leads out
  uint64_t raced = 0;    // refused or not found for another reason
  uint64_t foreign = 0;  // any other byte

  bool Both() const { return granted > 0 && link + raced + foreign > 0; }
  void Count(ExitCode code, std::string_view got, const std::string& inside) {
    if (!got.empty())
      ++(got == inside ? granted : foreign);
    else
      ++(code == ExitCode::kDenied ? link : raced);
  }
};

std::string Open(const std::string& path, ExitCode& code) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char room[256];
  const ssize_t got = fd.valid() ? read(fd.get(), room, sizeof room) : 0;
  code = ExitCode::kNotFound;
  return std::string(room, got > 0 ? static_cast<size_t>(got) : 0);
}

// args: "path", "times" (at least), "inside", "naively": by fs.read as it ships, or by a plain
// open(2).
std::string ReadOverAndOver(const runtime::Request& request) {
  const cbor::Map& args = request.args;
  const uint64_t times = *args.Find("times")->uint();
  const std::string inside = *args.Find("inside")->text();
  const std::string path = *args.Find("path")->text();
  const bool naively = *args.Find("naively")->boolean();
  std::vector<uint8_t> room(4096);
  Seen seen;
  // On a busy machine the other side may not have had its turn yet: both states have to be met.
  for (uint64_t i = 0; i < times || (i < 50 * times && !seen.Both()); ++i) {
    if (naively) {
      ExitCode code;
      const std::string got = Open(path, code);
      seen.Count(code, got, inside);
    } else {
      const runtime::Answer answer = runtime::FsRead(request, room);
      const auto* bytes = reinterpret_cast<const char*>(room.data());
      seen.Count(answer.code, {bytes, answer.data_bytes}, inside);
    }
  }
  return std::to_string(seen.granted) + " " + std::to_string(seen.link) + " " +
         std::to_string(seen.raced) + " " + std::to_string(seen.foreign) + "\n";
}

std::string Misbehave(const runtime::Request& request, const std::string& name) {
  if (name == "read_over_and_over") return ReadOverAndOver(request);
  Words words;
  if (const cbor::Value* given = request.args.Find("words"); given != nullptr) {
    for (const cbor::Value& word : *given->array()) words.push_back(*word.text());
  }
  for (const Row& row : kTable) {
    if (name == row.name) return row.run(words);
  }
  return "BROKEN: no such misbehaviour\n";
}

}  // namespace

int ServeOrMisbehave(const WorkerContext& context) {
  const Result<runtime::Request> request = runtime::DecodeRequest(context.request);
  constexpr std::string_view kPrefix = "worker.";
  if (!request || !request->capability.starts_with(kPrefix)) return runtime::Serve(context);
  const std::string line = Misbehave(*request, request->capability.substr(kPrefix.size()));
  std::memcpy(context.result_map + kResultDataOffset, line.data(), line.size());
  runtime::Answer answer;
  answer.data_bytes = line.size();
  return runtime::WriteAnswer(context, answer) ? 0 : 1;
}

}  // namespace krux::sandbox
