// The commands of krux, one file per noun. Each gets its options already split by tools/main.cc and
// returns the exit code of the program.
//
//   return RunCall({.capability = "fs.read", .words = {"README.md"}});
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/output.h"

namespace krux::tools {

struct CallOptions {
  std::string capability;
  std::vector<std::string> words;         // positional words and name=value
  std::vector<std::string> after_dashes;  // proc.exec: argv
  std::optional<std::string> json;        // --args
  bool from_stdin = false;                // --stdin: the content
  std::string session;                    // --session or $KRUX_SESSION, hex; empty: the default one
  std::string profile;
  std::optional<std::string> work;
  std::vector<std::string> allow_degraded;
  bool exec_status = false;
  Format format = Format::kTable;
};
int RunCall(const CallOptions& options);  // tools/call.cc

struct GatewayCommandOptions {
  std::vector<std::string> allow_degraded;
  std::string ceiling;
  bool keep = false;
  bool no_restart = false;
  int ready_fd = -1;
  uint64_t idle_seconds = 60;
  bool foreground_log = false;  // the daemons' stderr stays on ours
  Format format = Format::kTable;
};
int RunGatewayRun(const GatewayCommandOptions& options);  // tools/gateway.cc
int RunGatewayStart(const GatewayCommandOptions& options);
int RunGatewayStop(const GatewayCommandOptions& options);
int RunGatewayStatus(const GatewayCommandOptions& options);  // also `krux status`

struct SessionOptions {
  std::string id;                   // hex, or how it begins; empty: of `work`
  std::optional<std::string> work;  // as of krux call
  std::string profile;              // empty: of every profile
  std::vector<std::string> allow_degraded;
  Format format = Format::kTable;
};
int RunSessionLs(const SessionOptions& options);  // tools/session.cc
int RunSessionShow(const SessionOptions& options);
int RunSessionNew(const SessionOptions& options);

struct AuditOptions {
  std::string log_dir;  // empty: of the gateway of this user
  std::string key;      // public key; empty: of that gateway
  uint64_t seq = 0;     // show
  uint64_t count = 20;  // tail
  Format format = Format::kTable;
};
int RunAuditVerify(const AuditOptions& options);  // tools/audit.cc
int RunAuditTail(const AuditOptions& options);
int RunAuditShow(const AuditOptions& options);

struct CatOptions {
  std::string log_dir;  // empty: of the gateway of this user
  uint64_t from = 0, to = UINT64_MAX;
  bool json_lines = false;  // else diagnostic notation
};
int RunAuditCat(const CatOptions& options);  // tools/audit_cat.cc

struct DoctorOptions {
  bool needs_degraded = false;  // prints only what --allow-degraded must name here
  bool no_probe = false;        // skips the live sandbox
  bool jail = false;            // the escape programs instead, each in a sandbox of this machine
  Format format = Format::kTable;
};
int RunDoctor(const DoctorOptions& options);  // tools/doctor.cc

int RunCapLs(Format format);  // tools/cap.cc
int RunCapShow(const std::string& capability, Format format);

struct PolicyOptions {
  std::string policy;      // a name, or a file: with a `/`, or ending in .toml
  bool effective = false;  // what it comes to, in words, instead of its text
  Format format = Format::kTable;
};
int RunPolicyLs(Format format);  // tools/policy.cc
int RunPolicyReload(Format format);
int RunPolicyShow(const PolicyOptions& options);  // tools/policy_show.cc
int RunPolicyCheck(const PolicyOptions& options);
int RunPolicySchema(Format format);

int RunHelpExitCodes(Format format);  // tools/version.cc
int RunVersion(Format format);

}  // namespace krux::tools
