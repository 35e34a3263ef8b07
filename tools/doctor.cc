// krux doctor: each layer by kernel, by configuration, and tried live in a real sandbox; and for
// what is missing the command that changes it. Exit 0 only where nothing is missing, else 71.
#include <algorithm>
#include <fstream>

#include "base/terminal.h"
#include "sandbox/spec.h"
#include "tools/command.h"
#include "tools/doctor_jail.h"
#include "tools/doctor_kernel.h"
#include "tools/doctor_sandbox.h"

namespace krux::tools {
namespace {

constexpr std::string_view kContent = "krux doctor was here\n";

struct Probe {
  bool tried = false;
  bool held = false;    // both calls went through a sandbox with every layer that is not degraded
  std::string message;  // why not
};

Result<void> Expect(gateway::Client* client, const gateway::WorkDir& work, const char* profile,
                    const char* capability, const cbor::Map& args, std::string_view expected) {
  KRUX_TRY(client->Open(work, profile));
  const gateway::Reply reply = KRUX_TRY(client->Call(capability, args));
  if (!reply.ok)
    return Fail(reply.code, capability, std::string(capability) + ": " + reply.message);
  const std::string bytes = KRUX_TRY(reply.output.ReadAll());
  if (bytes != expected) {
    return Fail(ExitCode::kSandbox, capability,
                std::string(capability) + " answered `" + EscapeLine(bytes) + "`");
  }
  return {};
}

Result<void> TryCalls(const std::string& scratch, const std::vector<std::string>& degraded) {
  const std::string work_path = scratch + "/work";
  std::ofstream(work_path + "/file") << kContent;
  gateway::Client client = KRUX_TRY(StartGatewayIn(scratch, degraded));
  const gateway::WorkDir work = KRUX_TRY(gateway::ChooseWork(work_path));
  Result<void> tried =
      Expect(&client, work, "read_only", "fs.read", {{"path", work_path + "/file"}}, kContent);
  if (tried) {
    tried = Expect(&client, work, "local_dev", "proc.exec",
                   {{"argv", cbor::Array{"/usr/bin/id", "-u"}}}, "1100\n");
  }
  // Stop also where a probe failed: nothing of ours may stay behind.
  const Result<void> stopped = StopGateway();
  return tried ? stopped : tried;
}

Probe RunProbe(const std::vector<std::string>& degraded) {
  Probe probe;
  probe.tried = true;
  Result<Scratch> scratch = Scratch::Make();
  const Result<void> tried = scratch ? TryCalls(scratch->path(), degraded)
                                     : Result<void>(std::unexpected(scratch.error()));
  probe.held = tried.has_value();
  if (!tried) probe.message = tried.error().message;
  return probe;
}

const char* LiveWord(const LayerCheck& check, const Probe& probe, bool degraded) {
  if (!check.layer || !probe.tried) return "-";
  if (degraded) return "degraded";
  return probe.held ? "held" : "failed";
}

cbor::Map ToValue(const LayerCheck& check, const Probe& probe, bool degraded) {
  cbor::Map map{{"name", check.name},     {"layer", check.layer},
                {"needed", check.needed}, {"present", check.present},
                {"found", check.found},   {"live", LiveWord(check, probe, degraded)}};
  if (!check.fix.empty()) map.Set("fix", check.fix);
  return map;
}

std::string Mark(const Output& out, bool good, bool needed) {
  const char* word = good ? "ok" : needed ? "MISSING" : "no";
  if (!out.colour()) return word;
  return std::string(good ? "\x1b[32m" : needed ? "\x1b[31m" : "\x1b[33m") + word + "\x1b[0m";
}

// Rows are padded by hand: the colours have no width.
void PrintTable(const Output& out, const std::vector<LayerCheck>& checks, const Probe& probe,
                const std::vector<std::string>& degraded) {
  const auto row = [&](const std::string& name, const std::string& mark, size_t mark_width,
                       const std::string& live, const std::string& found) {
    std::string line = name;
    line.append(name.size() < 15 ? 15 - name.size() : 1, ' ');
    line += mark;
    line.append(mark_width < 9 ? 9 - mark_width : 1, ' ');
    line += live;
    line.append(live.size() < 10 ? 10 - live.size() : 1, ' ');
    out.Text(line + EscapeLine(found) + "\n");
  };
  row("LAYER", "HERE", 4, "LIVE", "WHAT WAS FOUND");
  for (const LayerCheck& check : checks) {
    const bool is_degraded =
        std::find(degraded.begin(), degraded.end(), check.name) != degraded.end();
    const size_t width = check.present ? 2 : check.needed ? 7 : 2;
    row(check.name, Mark(out, check.present, check.needed), width,
        LiveWord(check, probe, is_degraded), check.found);
    if (!check.fix.empty()) out.Text("               fix: " + check.fix + "\n");
  }
}

// What only an operator's choice can make run here. Nothing but the cgroup layer has a stand-in
// (rlimits), so nothing else is ever proposed.
std::vector<std::string> NeedsDegraded(const std::vector<LayerCheck>& checks) {
  std::vector<std::string> layers;
  for (const LayerCheck& check : checks) {
    if (check.name == sandbox::Name(sandbox::Layer::kCgroup) && !check.present)
      layers.push_back(check.name);
  }
  return layers;
}

}  // namespace

int RunDoctor(const DoctorOptions& options) {
  const Output out(options.format);
  if (options.needs_degraded) {
    const LayerCheck cgroup = CheckCgroup();
    if (!cgroup.present) out.Text(cgroup.name + "\n");
    return 0;
  }
  if (options.jail) {
    const LayerCheck cgroup = CheckCgroup();
    return RunDoctorJail(
        out, cgroup.present ? std::vector<std::string>() : std::vector<std::string>{cgroup.name});
  }
  const std::vector<LayerCheck> checks = CheckLayers();
  const std::vector<std::string> degraded = NeedsDegraded(checks);
  const Probe probe = options.no_probe ? Probe() : RunProbe(degraded);
  bool whole = !probe.tried || probe.held;
  for (const LayerCheck& check : checks) whole = whole && (check.present || !check.needed);

  if (out.structured()) {
    cbor::Array rows;
    cbor::Array needs;
    for (const std::string& layer : degraded) needs.emplace_back(layer);
    for (const LayerCheck& check : checks) {
      const bool is_degraded =
          std::find(degraded.begin(), degraded.end(), check.name) != degraded.end();
      rows.emplace_back(ToValue(check, probe, is_degraded));
    }
    cbor::Map answer{{"schema", "krux.doctor/1"},
                     {"whole", whole},
                     {"needs_degraded", std::move(needs)},
                     {"checks", std::move(rows)},
                     {"probed", probe.tried}};
    if (!probe.message.empty()) answer.Set("probe_message", EscapeLine(probe.message));
    out.Value(answer);
  } else {
    PrintTable(out, checks, probe, degraded);
  }
  if (!probe.message.empty()) out.Say("the live sandbox failed: " + probe.message);
  if (!degraded.empty()) {
    out.Say(
        "the layer `cgroup` is missing: krux refuses to run unless the gateway is started with "
        "--allow-degraded=cgroup; rlimits then stand in for its limits and every record says so");
  }
  return whole ? 0 : ToInt(ExitCode::kSandbox);
}

}  // namespace krux::tools
