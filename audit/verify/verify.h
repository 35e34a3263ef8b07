// VerifyLog: judges a whole audit log offline, with no secret and none of the writer's code.
//
//   Report report = VerifyLog("/var/lib/krux/audit", {.public_key = "/etc/krux/audit.pub"});
//   for (const Fault& fault : report.faults) std::puts(fault.text.c_str());
//   return report.exit;
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace krux::audit::verify {

enum Exit {
  kOk = 0,          // every record is chained, well formed and lies under a signed head
  kTampered = 1,    // something was changed, removed or added; the faults say where
  kIncomplete = 2,  // a torn write at the end, or records newer than the last signed head
  kCannot = 3,      // no key, no checkpoint, or nothing to read
};

struct Fault {
  std::string file;             // name inside the log folder
  uint64_t offset = 0;          // bytes from its start
  std::optional<uint64_t> seq;  // the record it is about, where it is about one
  Exit cls = kTampered;
  std::string text;  // one sentence
};

struct Options {
  std::string public_key = {};     // path of a PEM file
  std::string expected_head = {};  // hex; the log must contain the record with this leaf hash
  bool live = false;  // the log is being written: wait up to a second for the next checkpoint
};

struct Report {
  int exit = kCannot;
  std::string log_id;
  uint64_t records = 0;      // in the chain, damaged ones included
  uint64_t signed_size = 0;  // records under the last good signature
  uint64_t checkpoints = 0;
  std::string head;           // leaf hash of the last record, hex
  std::vector<Fault> faults;  // all of them, in the order they were found; at most kMaxFaults
  uint64_t more_faults = 0;   // found beyond that
};
inline constexpr size_t kMaxFaults = 10000;

Report VerifyLog(const std::string& dir, const Options& options);

// Where the public key of a log is by default: `audit.pub` above the folder `audit` that holds it,
// else /etc/krux/audit.pub. "" where neither exists.
std::string DefaultPublicKey(const std::string& dir);

}  // namespace krux::audit::verify
