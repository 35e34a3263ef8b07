// Policy files and krux.toml: any text gives a policy or an error that says where. A policy that
// was read never gains from being met with a ceiling.
#include "base/config.h"
#include "fuzz/target.h"
#include "policy/policy_file.h"

namespace krux {
namespace {

constexpr std::string_view kPaths[] = {"/", "/etc/shadow", "/home/ann/project",
                                       "/home/ann/project/src/main.cc", "/home/ann/project2"};

// Whatever both together allow, each allows alone.
void CheckMeet(const policy::Policy& ceiling, const policy::Policy& read) {
  const policy::Policy met = policy::Meet(ceiling, read);
  for (size_t i = 0; i < std::size(met.authority.levels); ++i) {
    KRUX_HOLDS(met.authority.levels[i] <= ceiling.authority.levels[i]);
    KRUX_HOLDS(met.authority.levels[i] <= read.authority.levels[i]);
  }
  const policy::Policy bound = policy::ForWork(met, "/home/ann/project");
  const policy::Policy alone = policy::ForWork(ceiling, "/home/ann/project");
  for (const std::string_view path : kPaths) {
    if (policy::CheckPath(bound.read_paths, path).inside)
      KRUX_HOLDS(policy::CheckPath(alone.read_paths, path).inside);
    if (policy::CheckPath(bound.write_paths, path).inside)
      KRUX_HOLDS(policy::CheckPath(alone.write_paths, path).inside);
  }
  const std::vector<std::string> shell = {"sh", "-c", "id"};
  if (policy::CheckArgv(bound.exec, shell).inside)
    KRUX_HOLDS(policy::CheckArgv(alone.exec, shell).inside);
}

}  // namespace
}  // namespace krux

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace krux;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto read = policy::ParsePolicy(text, "fuzz.toml");
  if (read) {
    for (const std::string_view name : policy::ProfileNames())
      CheckMeet(*policy::FindProfile(name), *read);
  } else {
    KRUX_HOLDS(read.error().code == ExitCode::kConfig);
    KRUX_HOLDS(!read.error().message.empty());
  }
  const auto config = ParseConfig(text, "krux.toml");
  if (!config) KRUX_HOLDS(config.error().code == ExitCode::kConfig);
  return 0;
}
