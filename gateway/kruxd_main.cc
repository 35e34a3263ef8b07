// kruxd: decides. Started by the supervisor (or a service manager) with its sockets by number:
//
//   kruxd --gateway-fd N --admin-fd N --audit-fd N --spawn-fd N --lifeline-fd N --control-fd N
//         --mode embedded --owner-uid 1000 [--ceiling local_dev] [--degraded cgroup,…]
//         [--limits calls=64,…] [--worker-id N] [--policies-fd N] [--policy-epoch N]
//
// It holds no secret, opens no file and parses nothing but CBOR of a fixed schema.
#include <fcntl.h>
#include <getopt.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>
#include <map>
#include <string>

#include "base/injection.h"
#include "base/log.h"
#include "gateway/bounds_text.h"
#include "gateway/confine.h"
#include "gateway/gateway.h"
#include "gateway/policy_parcel.h"
#include "gateway/stop_point.h"
#include "gateway/supervisor_link.h"

namespace krux::gateway {
namespace {

constexpr size_t kOtherFds = 768;  // channels, inputs and results of calls, sd-event

struct Options {
  std::map<std::string, std::string> values;
  Result<uint64_t> Number(const std::string& name) const {
    const auto it = values.find(name);
    uint64_t number = 0;
    if (it == values.end()) return Fail(ExitCode::kUsage, "kruxd", "--" + name + " is missing");
    const char* end = it->second.data() + it->second.size();
    if (std::from_chars(it->second.data(), end, number).ptr != end || it->second.empty()) {
      return Fail(ExitCode::kUsage, "kruxd",
                  "--" + name + " is `" + it->second + "`, not a number");
    }
    return number;
  }
  bool Has(const std::string& name) const { return values.contains(name); }
  std::string Text(const std::string& name) const {
    return Has(name) ? values.at(name) : std::string();
  }
};

Result<Options> ParseOptions(int argc, char** argv) {
  static constexpr const char* kNames[] = {"gateway-fd",  "admin-fd",    "audit-fd",    "spawn-fd",
                                           "lifeline-fd", "control-fd",  "mode",        "owner-uid",
                                           "ceiling",     "degraded",    "limits",      "worker-id",
                                           "state",       "policies-fd", "policy-epoch"};
  std::vector<option> table;
  for (const char* name : kNames) table.push_back({name, required_argument, nullptr, 0});
  table.push_back({});
  Options options;
  int index = 0;
  int found;
  while ((found = getopt_long(argc, argv, "", table.data(), &index)) ==
         0) {  // NOLINT(concurrency-mt-unsafe)
    options.values[kNames[index]] = optarg;
  }
  if (found != -1 || optind != argc)
    return Fail(ExitCode::kUsage, "kruxd", "unknown option; see the head of kruxd_main.cc");
  return options;
}

Result<UniqueFd> Descriptor(const Options& options, const std::string& name) {
  const uint64_t number = KRUX_TRY(options.Number(name));
  UniqueFd fd(static_cast<int>(number));
  if (fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0)
    return SysError(ExitCode::kUsage, "--" + name, errno);
  return fd;
}

Result<void> ReadDegraded(const std::string& list, GatewaySettings& settings) {
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string name = list.substr(begin, end - begin);
    settings.limits.degraded |= sandbox::Bit(KRUX_TRY(sandbox::LayerFromName(name)));
    settings.degraded.push_back(name);
    begin = end + 1;
  }
  return {};
}

Result<GatewaySettings> ReadSettings(const Options& options) {
  GatewaySettings settings;
  if (options.Has("mode")) settings.mode = options.Text("mode");
  if (options.Has("owner-uid"))
    settings.only_uid = static_cast<uid_t>(KRUX_TRY(options.Number("owner-uid")));
  if (options.Has("ceiling")) settings.ceiling = options.Text("ceiling");
  KRUX_TRY(ReadBounds(settings.limits.bounds, options.Text("limits")));
  KRUX_TRY(ReadDegraded(options.Text("degraded"), settings));
  if (options.Has("policies-fd")) {
    UniqueFd parcel = KRUX_TRY(Descriptor(options, "policies-fd"));
    const auto files = KRUX_TRY(UnpackPolicies(std::move(parcel)));
    settings.policies = KRUX_TRY(policy::PolicySet::Parse(files));
  }
  if (options.Has("policy-epoch"))
    settings.limits.policy_epoch = KRUX_TRY(options.Number("policy-epoch"));
  // A ceiling that does not exist is the operator's mistake, and found here rather than by a
  // client.
  KRUX_TRY(CheckPolicies(settings.policies, settings.ceiling));
  cbor::Array degraded(settings.degraded.begin(), settings.degraded.end());
  settings.started = cbor::Map{{"mode", settings.mode},       {"release", KRUX_VERSION},
                               {"ceiling", settings.ceiling}, {"degraded", std::move(degraded)},
                               {"pid", uint64_t(getpid())},   {"uid", uint64_t{geteuid()}}};
  if (options.Has("worker-id"))
    settings.started.Set("worker_id", KRUX_TRY(options.Number("worker-id")));
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 &&
      files.rlim_cur < settings.limits.bounds.connections + kOtherFds) {
    settings.limits.bounds.connections =
        files.rlim_cur > 2 * kOtherFds ? files.rlim_cur - kOtherFds : files.rlim_cur / 4;
  }
  return settings;
}

Result<int> Main(int argc, char** argv) {
  const Options options = KRUX_TRY(ParseOptions(argc, argv));
  const GatewaySettings settings = KRUX_TRY(ReadSettings(options));
  EventLoop loop = KRUX_TRY(EventLoop::Create());
  Gateway gateway(loop, SystemClock(), SystemRandom(),
                  Channel(KRUX_TRY(Descriptor(options, "audit-fd"))),
                  Channel(KRUX_TRY(Descriptor(options, "spawn-fd"))), settings);
  UniqueFd gateway_door = KRUX_TRY(Descriptor(options, "gateway-fd"));
  UniqueFd admin_door = KRUX_TRY(Descriptor(options, "admin-fd"));
  const UniqueFd lifeline = KRUX_TRY(Descriptor(options, "lifeline-fd"));
  Channel control;
  if (options.Has("control-fd")) control = Channel(KRUX_TRY(Descriptor(options, "control-fd")));
  SupervisorLink supervisor(loop, std::move(control));

  // The supervisor keeps the other end of the lifeline and never writes: EOF means that it is gone.
  const EventSource orphaned =
      KRUX_TRY(loop.AddIo(lifeline.get(), EPOLLIN, [&](uint32_t) { loop.Exit(1); }));
  const auto stop = [&] { gateway.Stop([&] { loop.Exit(0); }); };
  const EventSource term = KRUX_TRY(loop.AddSignal(SIGTERM, stop));
  const EventSource interrupt = KRUX_TRY(loop.AddSignal(SIGINT, stop));
  gateway.Report({.on_clients = [&](size_t clients) { supervisor.Clients(clients); },
                  .on_stop =
                      [&] {
                        if (supervisor.present()) {
                          supervisor.Stop();
                        } else {
                          stop();
                        }
                      },
                  .on_silent = [&](const char* daemon) { supervisor.Silent(daemon); },
                  .on_unable = [&](const Error& error) { loop.Exit(ToInt(error.code)); },
                  .on_reload =
                      [&](uint64_t tag) {
                        if (supervisor.present()) supervisor.Reload(tag);
                        return supervisor.present();
                      }});
  ReadStopPoint();
  KRUX_TRY(ConfineDaemon());
  injection::Run();
  KRUX_TRY(supervisor.Start([&](const PoliciesMessage& message, UniqueFd parcel) {
    if (message.code != ExitCode::kOk) {
      (void)gateway.Reload(message.tag, Fail(message.code, "policies", message.message));
      return;
    }
    const Result<uint64_t> epoch = gateway.Reload(message.tag, UnpackPolicies(std::move(parcel)));
    supervisor.InForce(epoch ? *epoch : 0);
  }));
  // The doors open when krux-auditd has answered, whatever it answered: where it cannot even start,
  // clients wait at them for a generation that can, or for the reason why there is none.
  KRUX_TRY(gateway.Start([&](bool durable) {
    if (gateway_door.valid()) {
      const auto agents = gateway.Listen(std::move(gateway_door), Door::kAgentDoor);
      const auto operators = gateway.Listen(std::move(admin_door), Door::kAdminDoor);
      if (!agents || !operators) loop.Exit(ToInt(ExitCode::kInternal));
    }
    if (durable) supervisor.Ready();
  }));
  return loop.Run();
}

}  // namespace
}  // namespace krux::gateway

#ifdef __SANITIZE_ADDRESS__
// LeakSanitizer looks into /proc at exit, which this process may not open any more.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }  // NOLINT
#endif

int main(int argc, char** argv) {
  try {
    krux::injection::TakeFlags(&argc, argv);
    const auto status = krux::gateway::Main(argc, argv);
    if (status) return *status;
    krux::Log(krux::LogLevel::kError, "kruxd", status.error().message);
    return krux::ToInt(status.error().code);
  } catch (const std::exception& e) {
    krux::Log(krux::LogLevel::kError, "kruxd", e.what());
    return krux::ToInt(krux::ExitCode::kInternal);
  }
}
