// Runs krux as its user does, and keeps a private gateway for a test.
//
//   PrivateGateway gateway;                        // folders of its own; stopped at the end
//   Ran ran = gateway.Krux({"call", "fs.read", "README.md"});
//   EXPECT_EQ(ran.exit, 0); EXPECT_EQ(ran.out, content);
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "gateway/client/paths.h"

namespace krux::tools {

struct Ran {
  int exit = -1;    // 128 + signal where a signal ended it; -1 where it did not end in time
  std::string out;  // all that a terminal got, where there was one
  std::string err;
};

struct RunOptions {
  std::string cwd = "/";
  std::string stdin_text = {};
  std::string stdin_file = {};                // opened instead, where it is named
  bool stdin_terminal = false;                // instead: a terminal that says nothing
  bool terminal = false;                      // stdout and stderr are a pseudo-terminal
  std::vector<std::string> environment = {};  // NAME=value, added to a small fixed one
  std::optional<uid_t> uid = {};              // runs as this user and group, without others
  int timeout_ms = 60'000;
  bool as_it_is = false;  // PrivateGateway adds no --allow-degraded
};

Ran RunProgram(const std::vector<std::string>& argv, const RunOptions& options = {});

// The program under test, and what --allow-degraded must name on this machine (may be empty).
std::string KruxProgram();
std::string NeedsDegraded();

void WriteFile(const std::string& path, const std::string& content);
std::string ReadFile(const std::string& path);

// The programs where an ordinary user can start them: a build tree may lie in somebody's home.
class Programs {
 public:
  Programs();
  ~Programs();
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;
  std::string krux() const { return folder_ + "/krux"; }

 private:
  std::string folder_;
};

class PrivateGateway {
 public:
  // `owner`: the whole of it belongs to, and runs as, that user.
  explicit PrivateGateway(std::optional<uid_t> owner = std::nullopt,
                          std::string program = KruxProgram());
  ~PrivateGateway();
  PrivateGateway(const PrivateGateway&) = delete;
  PrivateGateway& operator=(const PrivateGateway&) = delete;

  const std::string& root() const { return root_; }
  std::string work() const { return root_ + "/work"; }
  std::string state() const { return root_ + "/state"; }
  std::string Path(const std::string& name) const { return work() + "/" + name; }

  // Where a client of the protocol itself finds it.
  gateway::GatewayPaths Paths() const;

  // Runs krux in WORK; `call` and `gateway start` get --allow-degraded where this machine needs it.
  Ran Krux(std::vector<std::string> words, RunOptions options = {}) const;
  // Starts it with more words, e.g. {"--no-restart"}.
  Ran Start(const std::vector<std::string>& words = {}) const;
  // The pid of kruxd, and of the daemon that the supervisor runs beside it; 0 if there is none.
  pid_t Kruxd() const;
  pid_t Daemon(const std::string& name) const;

 private:
  std::optional<uid_t> owner_;
  std::string program_;
  std::string root_;
};

}  // namespace krux::tools
