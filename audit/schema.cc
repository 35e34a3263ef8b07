#include "audit/schema.h"

#include <algorithm>
#include <span>

#include "audit/hash.h"

namespace krux::audit {
namespace {

using cbor::Value;

constexpr size_t kMaxText = 4096;  // bytes

enum class Shape {
  kBytes16,
  kBytes32,
  kUint,
  kInt,
  kText,
  kTexts,
  kDecision,
  kStatus,
  kLattice,  // {* uint => uint}
  kDetails,  // {* tstr => any}
  kUsage,    // [cpu-us, wall-us, max-rss-kib, read / null, written / null, files: int / null]
  kReceipt,  // {* tstr => [any, "kernel" / "probe" / "self"]} / null
  kSecrets,  // [* [name, version, uses]]
  kOpen,     // [* [seq, call-id]]
};

struct Field {
  uint64_t key;
  Shape shape;
  bool required;
  std::string_view label = {};  // not empty: a commitment under this label
};

constexpr Field kSegmentFields[] = {
    {0, Shape::kBytes16, true}, {1, Shape::kUint, true},    {2, Shape::kUint, true},
    {3, Shape::kBytes32, true}, {4, Shape::kBytes16, true}, {5, Shape::kText, true},
    {6, Shape::kOpen, true},
};
constexpr Field kIntentFields[] = {
    {0, Shape::kBytes16, true},
    {1, Shape::kBytes16, true},
    {2, Shape::kText, true},
    {3, Shape::kText, true},
    {4, Shape::kBytes32, true, kArgsLabel},
    {5, Shape::kDecision, true},
    {6, Shape::kTexts, true},
    {7, Shape::kBytes32, true},
    {8, Shape::kLattice, true},
    {9, Shape::kLattice, true},
    {10, Shape::kDetails, true},
    {11, Shape::kSecrets, false},
    {12, Shape::kUint, false},
    {13, Shape::kUint, true},
    {14, Shape::kUint, true},
    {15, Shape::kBytes32, false},
    {16, Shape::kDetails, true},
    {17, Shape::kUint, true},
    {18, Shape::kDetails, true},
    {19, Shape::kLattice, false},
    {20, Shape::kLattice, false},
};
constexpr Field kOutcomeFields[] = {
    {0, Shape::kBytes16, true},   {1, Shape::kUint, true},
    {2, Shape::kStatus, true},    {3, Shape::kInt, true},
    {4, Shape::kInt, true},       {5, Shape::kBytes32, true, kResultLabel},
    {6, Shape::kUint, true},      {7, Shape::kUsage, true},
    {8, Shape::kReceipt, true},   {9, Shape::kSecrets, false},
    {10, Shape::kLattice, false}, {11, Shape::kBytes32, false, kReasonLabel},
    {12, Shape::kLattice, false}, {13, Shape::kLattice, false},
};
constexpr Field kPolicyFields[] = {
    {0, Shape::kBytes32, true}, {1, Shape::kText, true}, {2, Shape::kUint, true}};
constexpr Field kSessionFields[] = {
    {0, Shape::kBytes16, true}, {1, Shape::kText, true}, {2, Shape::kDetails, true}};
constexpr Field kAdminFields[] = {{0, Shape::kText, true}, {1, Shape::kDetails, true}};
constexpr Field kGapFields[] = {{0, Shape::kText, true}, {1, Shape::kUint, true},
                                {2, Shape::kUint, true}, {3, Shape::kUint, true},
                                {4, Shape::kUint, true}, {5, Shape::kBytes32, true}};
// Two bodies share the kind: key 0 = 0 closes an intent, 1 keeps a torn tail.
constexpr Field kRecoveredIntentFields[] = {{0, Shape::kUint, true},
                                            {1, Shape::kUint, true},
                                            {2, Shape::kBytes16, true},
                                            {3, Shape::kStatus, true}};
constexpr Field kRecoveredTailFields[] = {{0, Shape::kUint, true},
                                          {4, Shape::kUint, true},
                                          {5, Shape::kUint, true},
                                          {6, Shape::kUint, true},
                                          {7, Shape::kBytes32, true}};

std::span<const Field> FieldsOf(const Draft& draft) {
  switch (draft.kind) {
    case Kind::kSegment:
      return kSegmentFields;
    case Kind::kIntent:
    case Kind::kDenial:
    case Kind::kDeferral:
      return kIntentFields;
    case Kind::kOutcome:
      return kOutcomeFields;
    case Kind::kPolicy:
      return kPolicyFields;
    case Kind::kSession:
      return kSessionFields;
    case Kind::kAdmin:
      return kAdminFields;
    case Kind::kGap:
      return kGapFields;
    case Kind::kRecovered: {
      const Value* form = draft.body.Find(0u);
      if (form != nullptr && *form == Value(1u)) return kRecoveredTailFields;
      return kRecoveredIntentFields;
    }
    default:
      return {};
  }
}

bool IsBytes(const Value& v, size_t size) {
  return v.bytes() != nullptr && v.bytes()->size() == size;
}

bool IsText(const Value& v) { return v.text() != nullptr && v.text()->size() <= kMaxText; }

bool IsUintUpTo(const Value& v, uint64_t max) { return v.uint() != nullptr && *v.uint() <= max; }

template <typename Check>
bool AllItems(const Value& v, Check check) {
  return v.array() != nullptr && std::ranges::all_of(*v.array(), check);
}

template <typename Check>
bool AllEntries(const Value& v, Check check) {
  return v.map() != nullptr && std::ranges::all_of(*v.map(), check);
}

bool IsReceiptField(const cbor::Map::Entry& entry) {
  const cbor::Array* pair = entry.second.array();
  if (!IsText(entry.first) || pair == nullptr || pair->size() != 2) return false;
  const std::string* evidence = (*pair)[1].text();
  return evidence != nullptr &&
         (*evidence == "kernel" || *evidence == "probe" || *evidence == "self");
}

bool IsUsage(const Value& v) {
  const cbor::Array* a = v.array();
  if (a == nullptr || a->size() != 6) return false;
  for (size_t i = 0; i < 5; ++i) {
    if ((*a)[i].uint() == nullptr && (i < 3 || !(*a)[i].is_null())) return false;
  }
  return (*a)[5].is_null() || (*a)[5].integer().has_value();
}

bool IsSecret(const Value& v) {
  const cbor::Array* a = v.array();
  return a != nullptr && a->size() == 3 && IsText((*a)[0]) && (*a)[1].uint() != nullptr &&
         (*a)[2].uint() != nullptr;
}

bool IsOpenIntent(const Value& v) {
  const cbor::Array* a = v.array();
  return a != nullptr && a->size() == 2 && (*a)[0].uint() != nullptr && IsBytes((*a)[1], 16);
}

bool HasShape(const Value& v, Shape shape) {
  switch (shape) {
    case Shape::kBytes16:
      return IsBytes(v, 16);
    case Shape::kBytes32:
      return IsBytes(v, 32);
    case Shape::kUint:
      return v.uint() != nullptr;
    case Shape::kInt:
      return v.integer().has_value();
    case Shape::kText:
      return IsText(v);
    case Shape::kTexts:
      return AllItems(v, IsText);
    case Shape::kDecision:
      return IsUintUpTo(v, static_cast<uint64_t>(DecisionCode::kAsk));
    case Shape::kStatus:
      return IsUintUpTo(v, static_cast<uint64_t>(Status::kOutput));
    case Shape::kLattice:
      return AllEntries(v, [](const cbor::Map::Entry& e) {
        return e.first.uint() != nullptr && e.second.uint() != nullptr;
      });
    case Shape::kDetails:
      return AllEntries(v, [](const cbor::Map::Entry& e) { return IsText(e.first); });
    case Shape::kUsage:
      return IsUsage(v);
    case Shape::kReceipt:
      return v.is_null() || AllEntries(v, IsReceiptField);
    case Shape::kSecrets:
      return AllItems(v, IsSecret);
    case Shape::kOpen:
      return AllItems(v, IsOpenIntent);
  }
  return false;
}

std::unexpected<Error> Refuse(const Draft& draft, const Value& key, std::string_view why) {
  std::string message =
      std::string(Name(draft.kind)) + " record: key `" + cbor::Diagnostic(key) + "` ";
  message += why;
  return Fail(ExitCode::kBadData, "audit record", message);
}

// The opening [salt, value] must open the commitment in the body.
Result<void> CheckOpening(const Draft& draft, const Field& field, const Value& commit) {
  const cbor::Map* openings = draft.openings.map();
  const Value* opening = openings == nullptr ? nullptr : openings->Find(field.key);
  const cbor::Array* pair = opening == nullptr ? nullptr : opening->array();
  if (pair == nullptr || pair->size() != 2 || !IsBytes((*pair)[0], kHashBytes)) {
    return Refuse(draft, field.key, "has no opening");
  }
  if (CommitmentOf(field.label, *(*pair)[0].bytes(), (*pair)[1]) != *commit.bytes()) {
    return Refuse(draft, field.key, "is not what its opening commits to");
  }
  return {};
}

// The decision and the kind say the same thing twice; they must agree.
Result<void> CheckDecision(const Draft& draft) {
  DecisionCode expected;
  switch (draft.kind) {
    case Kind::kIntent:
      expected = DecisionCode::kAllow;
      break;
    case Kind::kDenial:
      expected = DecisionCode::kDeny;
      break;
    case Kind::kDeferral:
      expected = DecisionCode::kAsk;
      break;
    default:
      return {};
  }
  if (*draft.body.Find(5u) == Value(static_cast<unsigned>(expected))) return {};
  return Refuse(draft, 5u, "does not agree with the kind");
}

}  // namespace

bool MayBeAppended(Kind kind) {
  switch (kind) {
    case Kind::kIntent:
    case Kind::kOutcome:
    case Kind::kDenial:
    case Kind::kDeferral:
    case Kind::kPolicy:
    case Kind::kSession:
    case Kind::kAdmin:
      return true;
    default:
      return false;
  }
}

Result<void> CheckDraft(const Draft& draft) {
  const std::span<const Field> fields = FieldsOf(draft);
  if (fields.empty()) {
    return Fail(ExitCode::kBadData, "audit record",
                std::string("kind `") + Name(draft.kind) + "` cannot be written");
  }
  if (!draft.openings.is_null() && draft.openings.map() == nullptr) {
    return Fail(ExitCode::kBadData, "audit record", "openings must be a map or null");
  }
  size_t commitments = 0;
  for (const Field& field : fields) {
    const Value* value = draft.body.Find(field.key);
    if (value == nullptr) {
      if (field.required) return Refuse(draft, field.key, "is missing");
      continue;
    }
    if (!HasShape(*value, field.shape)) return Refuse(draft, field.key, "is malformed");
    if (field.label.empty()) continue;
    ++commitments;
    KRUX_TRY(CheckOpening(draft, field, *value));
  }
  for (const auto& [key, value] : draft.body) {
    const bool known =
        std::ranges::any_of(fields, [&](const Field& f) { return Value(f.key) == key; });
    if (!known) return Refuse(draft, key, "is unknown");
  }
  const size_t opened = draft.openings.map() == nullptr ? 0 : draft.openings.map()->size();
  if (opened != commitments) {
    return Fail(ExitCode::kBadData, "audit record", "there are openings of nothing committed");
  }
  if (opened == 0 && !draft.openings.is_null()) {
    return Fail(ExitCode::kBadData, "audit record", "empty openings must be null");
  }
  return CheckDecision(draft);
}

}  // namespace krux::audit
