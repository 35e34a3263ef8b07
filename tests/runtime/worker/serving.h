// Serving: Serve() in a forked child under the seccomp filter of its class, as the worker runs it.
//
//   TempTree tree;
//   tree.Write("a.txt", "hello");
//   Served served = ServeCall(ReadCall(tree, "a.txt"));
//   EXPECT_EQ(served.bytes, "hello");
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "runtime/request.h"
#include "sandbox/result.h"
#include "sandbox/spec.h"

namespace krux::runtime {

// A directory of its own, without links in its path; removed at the end.
class TempTree {
 public:
  TempTree();
  ~TempTree();
  TempTree(const TempTree&) = delete;
  TempTree& operator=(const TempTree&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  void Write(std::string_view name, std::string_view text) const;  // makes folders as needed
  void Link(std::string_view name, const std::string& target) const;

 private:
  std::string path_;
};

struct ServeOptions {
  sandbox::WorkClass work_class = sandbox::WorkClass::kFs;
  uint64_t capacity = 1 << 20;                // of the data part
  bool pid_namespace = false;                 // Serve as pid 1 of a new pid namespace
  std::function<void()> before = {};          // in the child, before the filter
  std::function<void(pid_t)> meanwhile = {};  // in the parent, with the child's pid
  std::optional<std::string> input = {};      // comes as a memfd
};

struct Served {
  int exit = -1;  // of the worker; -1000 - signal when it was killed
  bool answered = false;
  ExitCode code = ExitCode::kInternal;
  cbor::Map data;
  std::string message;
  bool truncated = false;
  sandbox::Limit limit = sandbox::Limit::kNone;
  std::string bytes;  // the data part
  size_t meta_bytes = 0;

  uint64_t Number(const char* key) const;
  std::string Text(const char* key) const;
};

Served ServeCall(const Request& request, const ServeOptions& options = {});
Served ServeBytes(const cbor::Bytes& request, const ServeOptions& options = {});

// A request with one grant (read) on `tree`, and its whole as read scope.
Request FsCall(const char* capability, const std::string& root, const std::string& path);
policy::Scope ScopeOf(const std::vector<std::string>& patterns, std::string_view work);

}  // namespace krux::runtime
