// Restore: asks krux-auditd for what gateways before this one left, before any client is served.
//
//   Restore restore(audit);
//   restore.Run([&](Result<Restored> restored) { … });     // once
//
// It fails closed: what cannot be read is an error, never a clean start. A policy text that is gone
// is an error of its sessions alone: they keep an empty one and cannot be opened.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gateway/audit_link.h"
#include "gateway/kept_session.h"

namespace krux::gateway {

struct Restored {
  std::vector<KeptSession> sessions;
  // Labels of a workspace's files (audit/carry.h): an empty one means all of them; the id of zeros
  // means every workspace.
  std::map<cbor::Bytes, std::set<cbor::Bytes>> labels;
  // Of the policies that were in force last; 0 where there were none.
  uint64_t policy_epoch = 0;
  cbor::Bytes policies;  // digest
};

class Restore {
 public:
  using Done = std::function<void(Result<Restored>)>;
  explicit Restore(AuditLink& audit) : audit_(audit) {}
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;
  void Run(Done done);

 private:
  // Silence is waited for: to open a torn log may take its time.
  void Ask(const cbor::Bytes& after);
  void OnPage(const Appended& answer);
  Result<void> Take(const cbor::Value& item);
  void AskPolicy();
  void OnPolicy(const cbor::Bytes& hash, const Appended& answer);
  void Finish(Result<void> result);

  AuditLink& audit_;
  Done done_;
  Restored restored_;
  cbor::Bytes last_;                                            // id
  std::map<cbor::Bytes, std::optional<std::string>> policies_;  // by hash; none: not asked for yet
};

}  // namespace krux::gateway
