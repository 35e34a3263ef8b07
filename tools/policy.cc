// krux policy: what sessions may do, and how an operator changes it.
#include "base/terminal.h"
#include "gateway/client/ensure.h"
#include "gateway/supervisor/policy_folder.h"
#include "policy/policy_set.h"
#include "tools/command.h"

namespace krux::tools {
namespace {

struct Row {
  std::string name;
  std::string from;  // "shipped", or the file
  std::string purpose;
};

cbor::Map ToValue(const Row& row) {
  return {{"name", row.name}, {"from", row.from}, {"purpose", EscapeLine(row.purpose)}};
}

Result<std::vector<Row>> Rows() {
  std::vector<Row> rows;
  for (const std::string_view name : policy::ProfileNames())
    rows.push_back({std::string(name), "shipped", KRUX_TRY(policy::FindProfile(name)).about});
  const gateway::GatewayPaths paths = KRUX_TRY(gateway::FindGatewayPaths());
  const std::string folder = gateway::PolicyFolder(paths.config_file);
  const auto files = KRUX_TRY(gateway::ReadPolicyFolder(folder));
  const auto set = KRUX_TRY(policy::PolicySet::Parse(files));
  const std::vector<std::string> names = set.OperatorNames();
  for (size_t i = 0; i < names.size(); ++i)
    rows.push_back(
        {names[i], folder + "/" + set.files()[i].file, KRUX_TRY(set.Find(names[i])).about});
  return rows;
}

std::string Sessions(uint64_t count) {
  return std::to_string(count) + (count == 1 ? " session" : " sessions");
}

}  // namespace

// The files as they are; what a gateway has in force it says itself (krux gateway status).
int RunPolicyLs(Format format) {
  const Output out(format);
  const Result<std::vector<Row>> rows = Rows();
  if (!rows) return out.Complain(rows.error());
  if (format == Format::kTable) {
    std::vector<std::vector<std::string>> table{{"PROFILE", "FROM", "WHAT IT IS FOR"}};
    for (const Row& row : *rows) table.push_back({row.name, row.from, row.purpose});
    out.Table(table);
    return 0;
  }
  cbor::Array all;
  for (const Row& row : *rows) {
    if (format == Format::kJsonl) {
      out.Value(ToValue(row));
    } else {
      all.emplace_back(ToValue(row));
    }
  }
  if (format != Format::kJsonl)
    out.Value(cbor::Map{{"schema", "krux.policies/1"}, {"policies", std::move(all)}});
  return 0;
}

int RunPolicyReload(Format format) {
  const Output out(format);
  const Result<gateway::GatewayPaths> paths = gateway::FindGatewayPaths();
  if (!paths) return out.Complain(paths.error());
  Result<gateway::Client> admin = gateway::Client::ConnectAdmin(*paths);
  if (!admin) return out.Complain(admin.error());
  const Result<gateway::ReloadReply> reply = admin->Reload();
  if (!reply) return out.Complain(reply.error());
  if (out.structured()) {
    out.Value(cbor::Map{{"schema", "krux.reload/1"},
                        {"policy_epoch", reply->epoch},
                        {"policies", cbor::Array(reply->policies.begin(), reply->policies.end())},
                        {"sessions_narrowed", reply->narrowed},
                        {"sessions_kept", reply->kept},
                        {"sessions_closed", reply->closed}});
    return 0;
  }
  out.Say("the policies are in force, epoch " + std::to_string(reply->epoch));
  if (reply->narrowed > 0) out.Say(Sessions(reply->narrowed) + " may do less from now on");
  if (reply->kept > 0)
    out.Say(Sessions(reply->kept) + " would gain and did not: only a new session does");
  if (reply->closed > 0)
    out.Say(Sessions(reply->closed) + " cannot go on: the profile is gone, or changed too often");
  return 0;
}

}  // namespace krux::tools
