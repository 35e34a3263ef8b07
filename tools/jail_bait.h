// Bait: what the host lays ready for one escape program, and whether somebody took it. Gone with
// the object, with every file that the program left in WORK.
//
//   Bait bait(scratch);                                // <scratch>/work and <scratch>/outside
//   std::vector<std::string> arguments = KRUX_TRY(bait.Lay(BaitKind::kTcpPort));
//   … run the program … bait.Touched()                 // empty: nobody was there
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tools/jail_programs.h"

namespace krux::tools {

class Bait {
 public:
  explicit Bait(std::string scratch);
  Bait(const Bait&) = delete;
  Bait& operator=(const Bait&) = delete;
  ~Bait();

  Result<std::vector<std::string>> Lay(BaitKind kind);
  // What of the host was touched: a listener that was knocked at, a file outside that changed, a
  // process that ended, a setuid file, device, pipe or socket in WORK that nobody laid there.
  std::string Touched() const;

 private:
  Result<void> Listen(int type, const void* address, unsigned size);
  Result<std::string> SocketInWork(const char* name, int type);
  Result<std::string> Port(int type);
  Result<std::vector<std::string>> Handle() const;

  std::string work_, outside_, secret_;
  std::vector<UniqueFd> listeners_;
  std::vector<std::string> laid_;
  pid_t process_ = -1;
  int segment_ = -1;
};

}  // namespace krux::tools
