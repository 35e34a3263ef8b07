// krux session ls|show|new.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "gateway/client/ensure.h"
#include "gateway/client/work_dir.h"
#include "policy/decide.h"
#include "tools/command.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

using gateway::SessionInfo;

constexpr uint64_t kExposureKey = 0, kCallsKey = 1, kFlagsKey = 3;

uint64_t NumberAt(const cbor::Map& lattice, uint64_t key) {
  const cbor::Value* value = lattice.Find(key);
  return value != nullptr && value->uint() != nullptr ? *value->uint() : 0;
}

std::string TimeOf(uint64_t ms) {
  const time_t seconds = static_cast<time_t>(ms / 1000);
  tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// Leg → the record of the call that brought it.
std::vector<std::pair<std::string, uint64_t>> LegsOf(const SessionInfo& info) {
  const uint64_t exposure = NumberAt(info.state, kExposureKey);
  const auto names = policy::LegNames();
  std::vector<std::pair<std::string, uint64_t>> legs;
  for (uint64_t bit = 0; bit < 64; ++bit) {
    if ((exposure >> bit & 1) == 0) continue;
    const auto since = info.since.find(bit);
    legs.emplace_back(bit < names.size() ? std::string(names[bit]) : std::to_string(bit),
                      since == info.since.end() ? 0 : since->second);
  }
  return legs;
}

std::vector<std::pair<std::string, uint64_t>> LimitsOf(const SessionInfo& info) {
  const auto names = policy::BudgetNames();
  std::vector<std::pair<std::string, uint64_t>> limits;
  for (uint64_t i = 0; i < names.size(); ++i) {
    if (info.budget.Find(i) != nullptr)
      limits.emplace_back(std::string(names[i]), NumberAt(info.budget, i));
  }
  return limits;
}

std::string ExposureText(const SessionInfo& info, bool with_records) {
  std::string text;
  for (const auto& [leg, seq] : LegsOf(info)) {
    text += (text.empty() ? "" : ", ") + leg;
    if (with_records && seq != 0) text += fmt::format(" (record {})", seq);
  }
  return text.empty() ? "none" : text;
}

std::string LimitsText(const SessionInfo& info) {
  std::string text;
  for (const auto& [name, left] : LimitsOf(info))
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", left, name);
  return text.empty() ? "no limits" : text;
}

const char* StateText(const SessionInfo& info) {
  if ((NumberAt(info.state, kFlagsKey) & 1) != 0) return "locked down";
  return info.active ? "open" : "kept";
}

cbor::Map ToValue(const SessionInfo& info) {
  cbor::Map exposure, left;
  for (const auto& [leg, seq] : LegsOf(info))
    exposure.Set(leg, seq == 0 ? cbor::Value() : cbor::Value(seq));
  for (const auto& [name, number] : LimitsOf(info)) left.Set(name, number);
  return {{"session", Hex(info.session)},
          {"uid", uint64_t{info.uid}},
          {"work", info.work},
          {"profile", info.profile},
          {"policy", Hex(info.policy)},
          {"policy_epoch", info.epoch},
          {"opened_ms", info.opened_ms},
          {"resumed", info.resumed},
          {"status", StateText(info)},
          {"calls", NumberAt(info.state, kCallsKey)},
          {"exposure", std::move(exposure)},
          {"left", std::move(left)},
          {"digest", Hex(info.digest)}};
}

void Print(const Output& out, const SessionInfo& info) {
  out.Table({{"session", Hex(info.session)},
             {"work", info.work},
             {"uid", std::to_string(info.uid)},
             {"profile", info.profile},
             {"policy", Hex(info.policy)},
             {"epoch", std::to_string(info.epoch)},
             {"opened", TimeOf(info.opened_ms)},
             {"resumed", std::to_string(info.resumed)},
             {"status", StateText(info)},
             {"calls", std::to_string(NumberAt(info.state, kCallsKey))},
             {"exposure", ExposureText(info, true)},
             {"left", LimitsText(info)},
             {"digest", Hex(info.digest)}});
}

Result<gateway::Client> Connect(const gateway::GatewayPaths& paths, const SessionOptions& options,
                                const Output& out) {
  gateway::StartOptions start;
  start.allow_degraded = options.allow_degraded;
  start.say = [&out](std::string_view line) { out.Say(line); };
  return gateway::EnsureGateway(paths, start);
}

// By the beginning of its id, else by the directory: its path, or what it is.
Result<std::vector<SessionInfo>> Choose(std::vector<SessionInfo> all,
                                        const SessionOptions& options) {
  std::string where;
  if (!options.id.empty()) {
    std::erase_if(all,
                  [&](const SessionInfo& s) { return !Hex(s.session).starts_with(options.id); });
    where = "called `" + options.id + "`";
  } else {
    const gateway::WorkDir work = KRUX_TRY(gateway::ChooseWork(options.work));
    struct stat st;
    if (fstat(work.fd.get(), &st) != 0) return SysError(ExitCode::kBadData, "stat", errno);
    std::erase_if(all, [&](const SessionInfo& s) {
      const bool same = s.work == work.path || (s.device == st.st_dev && s.inode == st.st_ino);
      return s.uid != geteuid() || !same;
    });
    where = "in `" + work.path + "`";
  }
  if (!options.profile.empty())
    std::erase_if(all, [&](const SessionInfo& s) { return s.profile != options.profile; });
  if (all.empty()) {
    return Fail(ExitCode::kNotFound, "session",
                "there is no session " + where + "; `krux session ls` lists them");
  }
  return all;
}

// Who has a terminal is taken for a person. A confined agent never has one, nor admin.sock.
Result<std::string> ControllingTerminal() {
  const UniqueFd tty(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!tty.valid()) {
    return Fail(ExitCode::kDenied, "session",
                "a clean session is an operator's choice: run `krux session new` from a terminal");
  }
  unsigned device = 0;
  if (ioctl(tty.get(), TIOCGDEV, &device) != 0) return std::string("/dev/tty");
  constexpr unsigned kPtsMajor = 136;  // devices.txt: Unix98 PTY slaves
  if (major(device) == kPtsMajor) return fmt::format("/dev/pts/{}", minor(device));
  return fmt::format("{}:{}", major(device), minor(device));
}

}  // namespace

int RunSessionLs(const SessionOptions& options) {
  const Output out(options.format);
  const auto paths = gateway::FindGatewayPaths();
  if (!paths) return out.Complain(paths.error());
  auto client = Connect(*paths, options, out);
  if (!client) return out.Complain(client.error());
  const auto all = client->Sessions();
  if (!all) return out.Complain(all.error());
  if (out.structured()) {
    cbor::Array list;
    for (const SessionInfo& info : *all) list.emplace_back(ToValue(info));
    out.Value(cbor::Map{{"schema", "krux.sessions/1"}, {"sessions", std::move(list)}});
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const SessionInfo& info : *all) {
    rows.push_back({Hex(info.session).substr(0, 12), info.profile, StateText(info),
                    ExposureText(info, false), info.work});
  }
  out.Table(rows);
  return 0;
}

int RunSessionShow(const SessionOptions& options) {
  const Output out(options.format);
  const auto paths = gateway::FindGatewayPaths();
  if (!paths) return out.Complain(paths.error());
  auto client = Connect(*paths, options, out);
  if (!client) return out.Complain(client.error());
  auto all = client->Sessions();
  if (!all) return out.Complain(all.error());
  const auto chosen = Choose(std::move(*all), options);
  if (!chosen) return out.Complain(chosen.error());
  for (const SessionInfo& info : *chosen) {
    if (out.structured()) {
      cbor::Map value = ToValue(info);
      value.Set("schema", "krux.session/1");
      out.Value(value);
      continue;
    }
    if (&info != &chosen->front()) out.Text("\n");
    Print(out, info);
  }
  return 0;
}

int RunSessionNew(const SessionOptions& options) {
  const Output out(options.format);
  const auto paths = gateway::FindGatewayPaths();
  if (!paths) return out.Complain(paths.error());
  const auto tty = ControllingTerminal();
  if (!tty) return out.Complain(tty.error());
  if (auto started = Connect(*paths, options, out); !started) return out.Complain(started.error());
  auto admin = gateway::Client::ConnectAdmin(*paths);
  if (!admin) return out.Complain(admin.error());
  auto all = admin->Sessions();
  if (!all) return out.Complain(all.error());
  const auto chosen = Choose(std::move(*all), options);
  if (!chosen) return out.Complain(chosen.error());
  for (const SessionInfo& info : *chosen) {
    if (const auto ended = admin->EndSession(info.session, *tty); !ended)
      return out.Complain(ended.error());
    out.Say("session " + Hex(info.session) + " (" + info.profile + ", exposure " +
            ExposureText(info, false) + ") has ended; the next call there begins a clean one");
  }
  return 0;
}

}  // namespace krux::tools
