#include "audit/verify/schema.h"

#include <algorithm>

namespace krux::audit::verify {
namespace {

constexpr size_t kMaxText = 4096;

// Shapes of values in a body. One letter each keeps the tables below readable as data:
//   i id (bstr 16)  h hash (bstr 32)  8 key id (bstr 8)  s signature (bstr 64)  u uint  n integer
//   t text  T [* text]  d decision  S status  l {* uint => uint}  m {* text => any}  b bool
//   g usage  r receipt  x secrets  o open intents  k [+ uint]
struct Rule {
  uint64_t key;
  char shape;
  bool required;
  std::string_view label = {};
};

using Rules = std::span<const Rule>;

constexpr Rule kSegmentRules[] = {{0, 'i', true},  {1, 'u', true},  {2, 'u', true},
                                  {3, 'h', true},  {4, 'i', true},  {5, 't', true},
                                  {6, 'o', true},  {7, 'h', false}, {8, 'h', false},
                                  {9, 'h', false}, {10, 't', false}};
constexpr Rule kCallRules[] = {
    {0, 'i', true},   {1, 'i', true},   {2, 't', true},   {3, 't', true},  {4, 'h', true, "args"},
    {5, 'd', true},   {6, 'T', true},   {7, 'h', true},   {8, 'l', true},  {9, 'l', true},
    {10, 'm', true},  {11, 'x', false}, {12, 'u', false}, {13, 'u', true}, {14, 'u', true},
    {15, 'h', false}, {16, 'm', true},  {17, 'u', true},  {18, 'm', true}, {19, 'l', false},
    {20, 'l', false}};
constexpr Rule kOutcomeRules[] = {{0, 'i', true},   {1, 'u', true},   {2, 'S', true},
                                  {3, 'n', true},   {4, 'n', true},   {5, 'h', true, "result"},
                                  {6, 'u', true},   {7, 'g', true},   {8, 'r', true},
                                  {9, 'x', false},  {10, 'l', false}, {11, 'h', false, "reason"},
                                  {12, 'l', false}, {13, 'l', false}};
constexpr Rule kApprovalRules[] = {{0, 'u', true}, {1, 'i', true}, {2, 't', true},
                                   {3, 'u', true}, {4, 't', true}, {5, 'u', true},
                                   {6, 'u', true}, {7, 'h', true}, {8, 'b', true}};
constexpr Rule kCheckpointRules[] = {
    {0, 'u', true}, {1, 'h', true}, {2, 's', true}, {3, '8', true}};
constexpr Rule kKeyRotateRules[] = {{0, 'u', true}, {1, 'h', true}, {2, 's', true}};
constexpr Rule kPolicyRules[] = {{0, 'h', true}, {1, 't', true}, {2, 'u', true}};
constexpr Rule kSessionRules[] = {{0, 'i', true}, {1, 't', true}, {2, 'm', true}};
constexpr Rule kAdminRules[] = {{0, 't', true}, {1, 'm', true}};
constexpr Rule kRedactionRules[] = {{0, 'u', true}, {1, 'k', true}, {2, 't', true}, {3, 't', true}};
constexpr Rule kGapRules[] = {{0, 't', true}, {1, 'u', true}, {2, 'u', true},
                              {3, 'u', true}, {4, 'u', true}, {5, 'h', true}};
constexpr Rule kRecoveredIntentRules[] = {
    {0, 'u', true}, {1, 'u', true}, {2, 'i', true}, {3, 'S', true}};
constexpr Rule kRecoveredTailRules[] = {
    {0, 'u', true}, {4, 'u', true}, {5, 'u', true}, {6, 'u', true}, {7, 'h', true}};
constexpr Rule kHeartbeatRules[] = {{0, 'u', true}};
constexpr Rule kSinkRules[] = {{0, 't', true}, {1, 't', true}, {2, 'u', true}, {3, 'm', true}};
constexpr Rule kSealRules[] = {{0, 'u', true}, {1, 'h', false}};
constexpr Rule kGrantRules[] = {{0, 'i', true}, {1, 'i', true}, {2, 'x', true}, {3, 't', true}};

Rules RulesOf(uint64_t kind, bool tail) {
  switch (kind) {
    case kSegment:
      return kSegmentRules;
    case kIntent:
    case kDenial:
    case kDeferral:
      return kCallRules;
    case kOutcome:
      return kOutcomeRules;
    case kApproval:
      return kApprovalRules;
    case kCheckpoint:
      return kCheckpointRules;
    case kKeyRotate:
      return kKeyRotateRules;
    case kPolicy:
      return kPolicyRules;
    case kSession:
      return kSessionRules;
    case kAdmin:
      return kAdminRules;
    case kRedaction:
      return kRedactionRules;
    case kGap:
      return kGapRules;
    case kRecovered:
      return tail ? Rules(kRecoveredTailRules) : Rules(kRecoveredIntentRules);
    case kHeartbeat:
      return kHeartbeatRules;
    case kSink:
      return kSinkRules;
    case kSeal:
      return kSealRules;
    case kGrant:
      return kGrantRules;
    default:
      return {};
  }
}

bool BytesOf(Cursor c, size_t size) { return c.Bytes().size() == size && c.ok(); }

bool TextItem(Cursor* c) { return c->Text().size() <= kMaxText && c->ok(); }

bool UintUpTo(Cursor c, uint64_t max) { return c.Uint() <= max && c.ok(); }

template <typename Check>
bool Items(Cursor c, Check check) {
  for (uint64_t n = c.Array(); n > 0 && c.ok(); --n) {
    if (!check(&c)) return false;
  }
  return c.ok();
}

template <typename Check>
bool Pairs(Cursor c, Check check) {
  for (uint64_t n = c.Map(); n > 0 && c.ok(); --n) {
    if (!check(&c)) return false;
  }
  return c.ok();
}

bool UintOrNull(Cursor* c) {
  if (!c->Is(Type::kNull)) return c->Uint(), c->ok();
  c->Skip();
  return true;
}

// An integer of 64 bits with sign.
bool Integer(ByteView value) {
  Cursor c(value);
  return c.Is(Type::kNegative) ? value[0] != 0x3b || value[1] < 0x80 : UintUpTo(c, INT64_MAX);
}

bool Usage(Cursor c) {
  if (c.Array() != 6) return false;
  for (int i = 0; i < 3; ++i) c.Uint();
  if (!c.ok() || !UintOrNull(&c) || !UintOrNull(&c)) return false;
  return c.Is(Type::kNull) || Integer(c.Skip());
}

bool ReceiptField(Cursor* c) {
  if (!TextItem(c) || c->Array() != 2) return false;
  c->Skip();
  const std::string_view evidence = c->Text();
  return c->ok() && (evidence == "kernel" || evidence == "probe" || evidence == "self");
}

bool Secret(Cursor* c) {
  if (c->Array() != 3 || !TextItem(c)) return false;
  c->Uint();
  c->Uint();
  return c->ok();
}

bool OpenIntent(Cursor* c) {
  if (c->Array() != 2) return false;
  c->Uint();
  return c->Bytes().size() == 16 && c->ok();
}

bool HasShape(ByteView value, char shape) {
  Cursor c(value);
  switch (shape) {
    case 'i':
      return BytesOf(c, 16);
    case 'h':
      return BytesOf(c, 32);
    case '8':
      return BytesOf(c, 8);
    case 's':
      return BytesOf(c, 64);
    case 'u':
      return c.Is(Type::kUint);
    case 'n':
      return Integer(value);
    case 't':
      return TextItem(&c);
    case 'T':
      return Items(c, TextItem);
    case 'd':
      return UintUpTo(c, 2);
    case 'S':
      return UintUpTo(c, 10);
    case 'b':
      return c.Is(Type::kTrue) || c.Is(Type::kFalse);
    case 'l':
      return Pairs(c, [](Cursor* p) { return p->Uint(), p->Uint(), p->ok(); });
    case 'm':
      return Pairs(c, [](Cursor* p) { return TextItem(p) && (p->Skip(), p->ok()); });
    case 'g':
      return Usage(c);
    case 'r':
      return c.Is(Type::kNull) || Pairs(c, ReceiptField);
    case 'x':
      return Items(c, Secret);
    case 'o':
      return Items(c, OpenIntent);
    case 'k':
      return Cursor(value).Array() > 0 && Items(c, [](Cursor* p) { return p->Uint(), p->ok(); });
    default:
      return false;
  }
}

std::string At(uint64_t kind, uint64_t key, const char* what) {
  return std::string(KindName(kind)) + " body: key " + std::to_string(key) + " " + what;
}

Hash ToHash(ByteView bytes) {
  Hash hash{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), hash.size()), hash.begin());
  return hash;
}

// Takes what other records must agree with. `value` has its shape already.
void Collect(const Rule& rule, ByteView value, Facts* f) {
  Cursor c(value);
  if (!rule.label.empty()) f->commits.push_back({rule.key, rule.label, c.Bytes()});
  const auto is = [&](uint64_t kind, uint64_t key) { return f->kind == kind && rule.key == key; };
  const bool tail = f->kind == kGap || (f->kind == kRecovered && f->tail);
  if (is(kSegment, 0)) f->log_id = c.Bytes();
  if (is(kSegment, 2)) f->first_seq = c.Uint();
  if (is(kSegment, 3)) f->segment_prev = c.Bytes();
  if (is(kSegment, 6)) {
    for (uint64_t n = c.Array(); n > 0; --n) {
      c.Array();
      const uint64_t seq = c.Uint();
      f->open.emplace_back(seq, c.Bytes());
    }
  }
  if (is(kIntent, 0) || is(kOutcome, 0) || is(kRecovered, 2)) f->call_id = c.Bytes();
  if (is(kOutcome, 1) || is(kRecovered, 1)) f->closes = c.Uint();
  if (is(kRedaction, 0)) f->redacts = c.Uint();
  if (is(kRedaction, 1)) {
    for (uint64_t n = c.Array(); n > 0; --n) f->redacted_keys.push_back(c.Uint());
  }
  if (!tail) return;
  const uint64_t base =
      f->kind == kGap ? 2 : 4;  // segment, offset, bytes, sha256 follow each other
  if (!f->tail) f->tail = DeclaredTail{};
  if (rule.key == base) f->tail->segment = c.Uint();
  if (rule.key == base + 1) f->tail->offset = c.Uint();
  if (rule.key == base + 2) f->tail->bytes = c.Uint();
  if (rule.key == base + 3) f->tail->sha256 = ToHash(c.Bytes());
}

std::string JudgeBody(Cursor* c, Facts* f) {
  if (!c->Is(Type::kMap)) return "the body is not a map";
  // Key 0 of `recovered` says which of its two bodies this is.
  Cursor ahead = *c;
  if (f->kind == kRecovered && ahead.Map() > 0 && ahead.Is(Type::kUint) && ahead.Uint() == 0) {
    const uint64_t form = ahead.Uint();
    if (!ahead.ok() || form > 1) return At(f->kind, 0, "is neither 0 nor 1");
    if (form == 1) f->tail = DeclaredTail{.exact = true};
  }
  const Rules rules = RulesOf(f->kind, f->tail.has_value());
  if (rules.empty()) return "the kind is unknown";
  size_t next = 0;  // rules and keys are both in ascending order
  for (uint64_t pairs = c->Map(); pairs > 0; --pairs) {
    if (!c->Is(Type::kUint)) return std::string(KindName(f->kind)) + " body: a key is no number";
    const uint64_t key = c->Uint();
    for (; next < rules.size() && rules[next].key < key; ++next) {
      if (rules[next].required) return At(f->kind, rules[next].key, "is missing");
    }
    if (next == rules.size() || rules[next].key != key) return At(f->kind, key, "is unknown");
    const ByteView value = c->Skip();
    if (!HasShape(value, rules[next].shape)) return At(f->kind, key, "is malformed");
    Collect(rules[next], value, f);
    // Decision and kind say the same thing twice.
    if (rules[next].shape == 'd') {
      const uint64_t decision = Cursor(value).Uint();
      const uint64_t expected = f->kind == kIntent ? 0 : f->kind == kDenial ? 1 : 2;
      if (decision != expected) return At(f->kind, key, "does not agree with the kind");
    }
    ++next;
  }
  for (; next < rules.size(); ++next) {
    if (rules[next].required) return At(f->kind, rules[next].key, "is missing");
  }
  return {};
}

}  // namespace

const char* KindName(uint64_t kind) {
  static constexpr const char* kNames[] = {
      "segment",    "intent",    "outcome",   "denial",  "deferral", "approval",
      "checkpoint", "keyrotate", "policy",    "session", "admin",    "redaction",
      "gap",        "recovered", "heartbeat", "sink",    "seal",     "grant"};
  return kind < std::size(kNames) ? kNames[kind] : "unknown";
}

std::string JudgeRecord(ByteView record, Facts* f) {
  if (const char* fault = StrictFault(record)) return fault;
  Cursor c(record);
  const uint64_t pairs = c.Map();
  if (!c.ok() || pairs < 8 || pairs > 9) return "a record has eight or nine keys";
  for (uint64_t key = 0; key < pairs; ++key) {
    if (c.Uint() != key || !c.ok()) return "key " + std::to_string(key) + " is missing";
    switch (key) {
      case 0:
        if (const uint64_t format = c.Uint(); format != 1 || !c.ok()) return "the format is not 1";
        break;
      case 1:
        f->seq = c.Uint();
        break;
      case 2:
        f->prev = c.Bytes();
        break;
      case 3:
      case 4:
        c.Uint();
        break;
      case 5:
        if (c.Bytes().size() != 8) return "key 5 is malformed";
        break;
      case 6:
        f->kind = c.Uint();
        break;
      case 7:
        f->body = Cursor(c).Skip();
        if (std::string fault = JudgeBody(&c, f); !fault.empty()) return fault;
        break;
      default:
        if (c.Bytes().size() != 16) return "key 8 is malformed";
    }
    if (!c.ok()) return "key " + std::to_string(key) + " is malformed";
  }
  return f->prev.size() == 32 ? "" : "key 2 is malformed";
}

std::string JudgeOpenings(const std::optional<ByteView>& openings, const Facts& facts,
                          std::vector<uint64_t>* missing) {
  std::vector<bool> opened(facts.commits.size());
  if (openings) {
    if (const char* fault = StrictFault(*openings)) return std::string("openings: ") + fault;
    Cursor c(*openings);
    uint64_t pairs = c.Map();
    if (!c.ok() || pairs == 0) return "openings: not a map with entries";
    for (; pairs > 0; --pairs) {
      const uint64_t key = c.Uint();
      const bool pair = c.Array() == 2;
      const ByteView salt = c.Bytes();
      const ByteView value = c.Skip();
      const auto field = std::ranges::find(facts.commits, key, &CommittedField::key);
      if (!c.ok() || !pair || salt.size() != 32) return "openings: an opening is malformed";
      if (field == facts.commits.end()) {
        return "openings: key " + std::to_string(key) + " opens nothing";
      }
      if (!std::ranges::equal(Commitment(salt, field->label, value), field->commit)) {
        return "openings: key " + std::to_string(key) + " is not what the record commits to";
      }
      opened[static_cast<size_t>(field - facts.commits.begin())] = true;
    }
  }
  for (size_t i = 0; i < opened.size(); ++i) {
    if (!opened[i]) missing->push_back(facts.commits[i].key);
  }
  return {};
}

}  // namespace krux::audit::verify
