// Scene: what one misbehaviour program finds: a WORK of the caller's with the program in it, and
// outside of WORK a bait that the plain host would let it take. Everything goes with the object.
//
//   Scene scene(caller_id, worker_id, "tcp_loopback");
//   cases[i].prepare(scene);           // adds the bait, its arguments, and what to look at
//   afterwards … run scene.Command() … scene.CheckOutside();              // nothing of the host
//   was touched
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/spec.h"
#include "tests/sandbox/spawnd_harness.h"

namespace krux::sandbox {

class Scene {
 public:
  // `caller`: who owns WORK and calls. `outer`: the id that the program has outside. An empty
  // `program`: none.
  Scene(uint32_t caller, uint32_t outer, const std::string& program);
  ~Scene();
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  std::vector<std::string> Command() const;
  uint32_t caller() const { return caller_; }
  uint32_t outer() const { return outer_; }
  const ScratchDir& work() const { return work_; }
  const ScratchDir& outside() const { return outside_; }
  std::string program_path() const { return work_.path() + "/" + program_; }

  void Arg(const std::string& text) { args_.push_back(text); }
  // Looked at by CheckOutside().
  void After(std::function<void()> check) { checks_.push_back(std::move(check)); }
  // Undone when the scene ends.
  void AtEnd(std::function<void()> undo) { undo_.push_back(std::move(undo)); }
  // Stays open as long as the scene.
  int Keep(UniqueFd fd);

  // To be called when the bait is laid, before the program runs.
  void Remember();
  // No process of the program is left, no setuid file, device, pipe or socket has appeared, what
  // lies outside of WORK is as it was, and every check of the case holds.
  void CheckOutside() const;
  // Pids of processes that were started from this scene's program.
  std::vector<pid_t> Processes() const;

  Limits limits;
  bool writable = true;

 private:
  using Listing = std::map<std::string, std::string>;
  Listing Special() const;  // entries of WORK that no program may make
  Listing Outside() const;  // everything outside: mode, owner, size, content

  uint32_t caller_, outer_;
  std::string program_;
  ScratchDir work_, outside_;
  std::vector<std::string> args_;
  std::vector<std::function<void()>> checks_, undo_;
  std::vector<UniqueFd> fds_;
  Listing special_, outside_before_;
};

}  // namespace krux::sandbox
