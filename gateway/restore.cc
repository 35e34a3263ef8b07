#include "gateway/restore.h"

#include <utility>

#include "base/log.h"

namespace krux::gateway {
namespace {

constexpr size_t kDigestBytes = 32;

}  // namespace

void Restore::Run(Done done) {
  done_ = std::move(done);
  Ask({});
}

void Restore::Ask(const cbor::Bytes& after) {
  audit_.Restore(after, [this](const Appended& answer) { OnPage(answer); });
}

void Restore::OnPage(const Appended& answer) {
  if (answer.what == Appended::What::kSilent) return;  // kLate follows
  if (!answer.error.empty()) return Finish(Fail(ExitCode::kAudit, "restore", answer.error));
  const cbor::Array* page = answer.data.array();
  if (page == nullptr) return Finish(Fail(ExitCode::kAudit, "restore", "krux-auditd sent no page"));
  for (const cbor::Value& item : *page) {
    if (auto taken = Take(item); !taken) return Finish(std::unexpected(taken.error()));
  }
  if (answer.seq > 0 && !page->empty()) return Ask(last_);
  for (const KeptSession& session : restored_.sessions) policies_[session.opening.policy_hash];
  AskPolicy();
}

Result<void> Restore::Take(const cbor::Value& item) {
  const cbor::Array* pair = item.array();
  const bool shaped = pair != nullptr && pair->size() == 2 && (*pair)[0].bytes() != nullptr &&
                      (*pair)[1].map() != nullptr;
  if (!shaped) return Fail(ExitCode::kAudit, "restore", "krux-auditd sent what is no entry");
  last_ = *(*pair)[0].bytes();
  const cbor::Map& details = *(*pair)[1].map();
  const cbor::Value* labels = details.Find("labels");
  if (labels != nullptr && labels->array() != nullptr) {
    for (const cbor::Value& label : *labels->array()) {
      if (label.bytes() != nullptr) restored_.labels[last_].insert(*label.bytes());
    }
  }
  if (const cbor::Value* policies = details.Find("policies"); policies != nullptr) {
    cbor::MapReader reader(*policies, "policies");
    restored_.policy_epoch = reader.Uint("epoch");
    restored_.policies = reader.Fixed("digest", kDigestBytes);
    if (auto read = reader.Finish(); !read)
      return Fail(ExitCode::kAudit, "restore", read.error().message);
  }
  if (details.Find("opened") == nullptr) return {};
  auto session = KeptSessionFrom(last_, details);
  if (!session) {
    return Fail(ExitCode::kAudit, "restore",
                "the log carries a session that cannot be read (" + session.error().message +
                    "); use the krux that wrote it");
  }
  restored_.sessions.push_back(std::move(*session));
  return {};
}

void Restore::AskPolicy() {
  for (const auto& [hash, text] : policies_) {
    if (text.has_value()) continue;
    audit_.Recall(hash, [this, hash](const Appended& answer) { OnPolicy(hash, answer); });
    return;
  }
  for (KeptSession& session : restored_.sessions)
    session.policy_text = policies_[session.opening.policy_hash].value_or("");
  Finish({});
}

void Restore::OnPolicy(const cbor::Bytes& hash, const Appended& answer) {
  if (answer.what == Appended::What::kSilent) return;
  if (audit_.gone()) return Finish(Fail(ExitCode::kAudit, "restore", "krux-auditd is gone"));
  const cbor::Bytes* text = answer.data.bytes();
  const bool there = answer.error.empty() && text != nullptr;
  if (!there) Log(LogLevel::kError, "kruxd", "the policy of a session is lost: " + answer.error);
  policies_[hash] = there ? std::string(text->begin(), text->end()) : std::string();
  AskPolicy();
}

void Restore::Finish(Result<void> result) {
  const Done done = std::exchange(done_, nullptr);
  if (!done) return;
  if (result) {
    done(std::move(restored_));
  } else {
    done(std::unexpected(result.error()));
  }
}

}  // namespace krux::gateway
