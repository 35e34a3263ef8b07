// krux gateway run|start|stop|status and krux status.
#include "base/terminal.h"
#include "gateway/client/ensure.h"
#include "gateway/supervisor/policy_folder.h"
#include "gateway/supervisor/supervisor.h"
#include "tools/command.h"

namespace krux::tools {
namespace {

std::string Join(const std::vector<std::string>& words, const char* none) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text.empty() ? none : text;
}

Result<gateway::StatusReply> AskStatus(const gateway::GatewayPaths& paths) {
  gateway::StartOptions options;
  options.may_start = false;
  gateway::Client client = KRUX_TRY(gateway::EnsureGateway(paths, options));
  return client.Status();
}

cbor::Map ToValue(const gateway::StatusReply& status, const gateway::GatewayPaths& paths) {
  cbor::Array degraded;
  for (const std::string& layer : status.degraded) degraded.emplace_back(layer);
  return {{"schema", "krux.status/1"},
          {"running", true},
          {"pid", status.pid},
          {"mode", status.mode},
          {"version", status.release},
          {"uptime_ms", status.uptime_ms},
          {"clients", status.clients},
          {"sessions", status.sessions},
          {"calls_in_flight", status.calls_in_flight},
          {"calls_waiting", status.calls_waiting},
          {"calls_total", status.calls_total},
          {"audit", status.audit},
          {"sandbox", status.sandbox},
          {"ceiling", status.ceiling},
          {"degraded", std::move(degraded)},
          {"policy_epoch", status.policy_epoch},
          {"policies", cbor::Array(status.policies.begin(), status.policies.end())},
          {"policy_dir", gateway::PolicyFolder(paths.config_file)},
          {"socket", paths.gateway_socket},
          {"audit_dir", paths.audit_dir},
          {"audit_public_key", paths.audit_public_key}};
}

void PrintStatus(const Output& out, const gateway::StatusReply& status,
                 const gateway::GatewayPaths& paths) {
  out.Table(
      {{"gateway", "runs (" + status.mode + "), krux " + status.release},
       {"kruxd", "pid " + std::to_string(status.pid)},
       {"up", std::to_string(status.uptime_ms / 1000) + " s"},
       {"calls", std::to_string(status.calls_total) + " answered, " +
                     std::to_string(status.calls_in_flight) + " running, " +
                     std::to_string(status.calls_waiting) + " waiting"},
       {"sessions", std::to_string(status.sessions)},
       {"clients", std::to_string(status.clients)},
       {"log", status.audit + ", " + paths.audit_dir},
       {"sandbox", status.sandbox},
       {"ceiling", status.ceiling},
       {"policies", "epoch " + std::to_string(status.policy_epoch) + ", the shipped ones" +
                        (status.policies.empty() ? std::string()
                                                 : " and " + Join(status.policies, "") + " of " +
                                                       gateway::PolicyFolder(paths.config_file))},
       {"degraded", Join(status.degraded, "nothing")},
       {"socket", paths.gateway_socket}});
}

}  // namespace

int RunGatewayRun(const GatewayCommandOptions& options) {
  const Output out(options.format);
  Result<gateway::GatewayPaths> paths = gateway::FindGatewayPaths();
  if (!paths) return out.Complain(paths.error());
  gateway::GatewayOptions gateway_options;
  gateway_options.paths = std::move(*paths);
  gateway_options.allow_degraded = options.allow_degraded;
  gateway_options.ceiling = options.ceiling;
  gateway_options.keep = options.keep;
  gateway_options.restart = !options.no_restart;
  gateway_options.idle_seconds = options.idle_seconds;
  gateway_options.ready_fd = options.ready_fd;
  gateway_options.log_to_stderr = options.foreground_log;
  const Result<void> ran = gateway::RunGateway(gateway_options);
  return ran ? 0 : out.Complain(ran.error());
}

int RunGatewayStart(const GatewayCommandOptions& options) {
  const Output out(options.format);
  const Result<gateway::GatewayPaths> paths = gateway::FindGatewayPaths();
  if (!paths) return out.Complain(paths.error());
  gateway::StartOptions start;
  start.allow_degraded = options.allow_degraded;
  if (!options.ceiling.empty()) start.extra_arguments.push_back("--ceiling=" + options.ceiling);
  if (options.keep) start.extra_arguments.emplace_back("--keep");
  if (options.no_restart) start.extra_arguments.emplace_back("--no-restart");
  start.say = [&out](std::string_view line) { out.Say(line); };
  Result<gateway::Client> client = gateway::EnsureGateway(*paths, start);
  if (!client) return out.Complain(client.error());
  const Result<gateway::StatusReply> status = client->Status();
  if (!status) return out.Complain(status.error());
  if (out.structured()) {
    out.Value(ToValue(*status, *paths));
  } else {
    PrintStatus(out, *status, *paths);
  }
  return 0;
}

int RunGatewayStop(const GatewayCommandOptions& options) {
  const Output out(options.format);
  const Result<gateway::GatewayPaths> paths = gateway::FindGatewayPaths();
  if (!paths) return out.Complain(paths.error());
  const Result<bool> stopped = gateway::StopGateway(*paths);
  if (!stopped) return out.Complain(stopped.error());
  out.Say(*stopped ? "the gateway has stopped" : "no gateway runs; nothing to stop");
  return 0;
}

int RunGatewayStatus(const GatewayCommandOptions& options) {
  const Output out(options.format);
  const Result<gateway::GatewayPaths> paths = gateway::FindGatewayPaths();
  if (!paths) return out.Complain(paths.error());
  const Result<gateway::StatusReply> status = AskStatus(*paths);
  if (status) {
    if (out.structured()) {
      out.Value(ToValue(*status, *paths));
    } else {
      PrintStatus(out, *status, *paths);
    }
    return 0;
  }
  if (out.structured()) {
    out.Value(cbor::Map{{"schema", "krux.status/1"},
                        {"running", false},
                        {"message", EscapeLine(status.error().message)},
                        {"socket", paths->gateway_socket}});
  }
  return out.Complain(status.error());
}

}  // namespace krux::tools
