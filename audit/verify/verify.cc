#include "audit/verify/verify.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "audit/verify/checkpoint.h"
#include "audit/verify/walk.h"

namespace krux::audit::verify {
namespace {

constexpr uint64_t kMaxCheckpoints = 1ull << 30;  // bytes
constexpr const char* kFile = "checkpoints";

Report CannotVerify(const std::string& dir, std::string why) {
  Report report;
  report.faults.push_back({dir, 0, std::nullopt, kCannot, std::move(why)});
  return report;
}

std::optional<Hash> ParseHash(const std::string& hex) {
  Hash hash{};
  if (hex.size() != 64) return std::nullopt;
  for (size_t i = 0; i < hash.size(); ++i) {
    const std::string two = hex.substr(2 * i, 2);
    if (two.find_first_not_of("0123456789abcdefABCDEF") != two.npos) return std::nullopt;
    hash[i] = static_cast<uint8_t>(std::stoul(two, nullptr, 16));
  }
  return hash;
}

// Judges every entry by itself and against the one before. Answers the stated heads by size.
std::map<uint64_t, StatedHead> JudgeCheckpoints(ByteView bytes, const std::string& log_id,
                                                const std::optional<PublicKey>& key,
                                                Report* report) {
  std::map<uint64_t, StatedHead> heads;
  const auto add = [&](uint64_t at, Exit cls, std::string text) {
    report->faults.push_back({kFile, at, std::nullopt, cls, std::move(text)});
  };
  uint64_t at = 0;
  uint64_t before = 0;
  for (const Entry& entry : ReadEntries(bytes)) {
    const uint64_t here = std::exchange(at, at + kEntryBytes);
    if (!entry.well_formed) {
      add(here, kTampered, "the checkpoint is malformed");
    } else if (key && !SignatureHolds(entry, *key)) {
      add(here, kTampered,
          "the checkpoint at size " + std::to_string(entry.size) + " is not signed by this key");
    } else if (!log_id.empty() && Hex(entry.log_id) != log_id) {
      add(here, kTampered, "the checkpoint is of another log");
    } else if (entry.size <= before) {
      add(here, kTampered,
          "the checkpoint does not grow: size " + std::to_string(entry.size) + " after " +
              std::to_string(before));
    } else {
      StatedHead stated;
      std::ranges::copy(entry.head, stated.head.begin());
      stated.at = here;
      heads[entry.size] = stated;
      before = entry.size;
      report->checkpoints += 1;
    }
  }
  if (at < bytes.size()) add(at, kIncomplete, "a torn checkpoint follows the last one");
  return heads;
}

void Conclude(const Folder& folder, bool has_key, bool has_entries, Report* report) {
  const std::string last = folder.segments.empty() ? kFile : folder.segments.back().name;
  const auto add = [&](std::optional<uint64_t> seq, Exit cls, std::string text) {
    report->faults.push_back({last, 0, seq, cls, std::move(text)});
  };
  if (report->records < report->signed_size) {
    add(report->records, kTampered,
        "the log was cut: it has " + std::to_string(report->records) + " records, " +
            std::to_string(report->signed_size) + " are signed");
  } else if (has_key && has_entries && report->records > report->signed_size) {
    add(report->signed_size, kIncomplete,
        std::to_string(report->records - report->signed_size) +
            " records are newer than the last signed head");
  }
  if (!has_entries) add(std::nullopt, kCannot, "nothing is signed: there is no checkpoint");
  // Tampered outweighs "cannot", which outweighs "incomplete".
  bool cannot = false;
  bool incomplete = false;
  bool tampered = report->more_faults > 0;
  for (const Fault& fault : report->faults) {
    tampered |= fault.cls == kTampered;
    cannot |= fault.cls == kCannot;
    incomplete |= fault.cls == kIncomplete;
  }
  report->exit = tampered ? kTampered : cannot ? kCannot : incomplete ? kIncomplete : kOk;
}

Report VerifyOnce(const std::string& dir, const Options& options) {
  Folder folder;
  if (const std::string why = OpenFolder(dir, &folder); !why.empty()) return CannotVerify(dir, why);
  const std::optional<Hash> expected = ParseHash(options.expected_head);
  if (!options.expected_head.empty() && !expected) {
    return CannotVerify(dir, "the expected head is not 64 hex digits");
  }
  Report report;
  std::string why_no_key;
  const std::optional<PublicKey> key = PublicKey::FromPemFile(options.public_key, &why_no_key);
  if (!key) report.faults.push_back({options.public_key, 0, std::nullopt, kCannot, why_no_key});

  // Checkpoints first: what is appended meanwhile only makes the segments longer.
  std::vector<uint8_t> checkpoints;
  const std::string path = folder.path + "/" + kFile;
  if (const std::string why = ReadFile(path, 0, kMaxCheckpoints, &checkpoints);
      !why.empty() && access(path.c_str(), F_OK) == 0) {
    report.faults.push_back({kFile, 0, std::nullopt, kTampered, "cannot be read: " + why});
  }
  auto heads = JudgeCheckpoints(checkpoints, folder.log_id, key, &report);
  if (key && !heads.empty()) report.signed_size = heads.rbegin()->first;
  // A segment that was made after the listing would look like missing records.
  if (const std::string why = OpenFolder(dir, &folder); !why.empty()) return CannotVerify(dir, why);

  Walk walk(folder, report.signed_size, expected, &heads, &report);
  walk.Run();
  if (expected && !walk.found_expected()) {
    report.faults.push_back(
        {folder.path, 0, std::nullopt, kTampered,
         "the expected head is not in this log: it was cut, rolled back or forked"});
  }
  Conclude(folder, key.has_value(), !checkpoints.empty(), &report);
  return report;
}

}  // namespace

Report VerifyLog(const std::string& dir, const Options& options) {
  Report report = VerifyOnce(dir, options);
  // A writer signs after 100 ms without a record: look again before calling the end unsigned.
  for (int i = 0; options.live && report.exit == kIncomplete && i < 8; ++i) {
    const timespec pause{0, 125'000'000};
    nanosleep(&pause, nullptr);
    report = VerifyOnce(dir, options);
  }
  return report;
}

std::string DefaultPublicKey(const std::string& dir) {
  Folder folder;
  std::vector<std::string> candidates;
  if (OpenFolder(dir, &folder).empty()) candidates.push_back(folder.path + "/../../audit.pub");
  candidates.push_back("/etc/krux/audit.pub");
  for (const std::string& path : candidates) {
    if (access(path.c_str(), R_OK) == 0) return path;
  }
  return {};
}

}  // namespace krux::audit::verify
