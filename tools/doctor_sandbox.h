// A gateway of doctor's own: in a scratch folder, started for what doctor tries and stopped after
// it.
//
//   Scratch scratch = KRUX_TRY(Scratch::Make());
//   gateway::Client client = KRUX_TRY(StartGatewayIn(scratch.path(), degraded));
//   … client.Open(work in scratch.path() + "/work") … StopGateway();
#pragma once

#include <string>
#include <vector>

#include "gateway/client/client.h"

namespace krux::tools {

// A folder with a `work` in it; gone with the object.
class Scratch {
 public:
  static Result<Scratch> Make();
  Scratch(Scratch&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch();
  const std::string& path() const { return path_; }

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Points this process's environment at `scratch`; `degraded` as --allow-degraded.
Result<gateway::Client> StartGatewayIn(const std::string& scratch,
                                       const std::vector<std::string>& degraded);
Result<void> StopGateway();

}  // namespace krux::tools
