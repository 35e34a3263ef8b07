#include "tools/record_text.h"

#include <ctime>
#include <span>

#include "audit/verify/schema.h"
#include "base/terminal.h"
#include "sandbox/spec.h"

namespace krux::tools {
namespace {

using audit::verify::KindName;
using cbor::Map;
using cbor::Value;

// How the number under a key is to be read.
enum class Meaning : uint8_t { kPlain, kDecision, kStatus, kLayers, kOpened };

struct Name {
  uint64_t key;
  const char* name;
  Meaning meaning = Meaning::kPlain;
};

// docs/AUDIT_FORMAT.md §3: the head of every record.
constexpr Name kHead[] = {{0, "format"},       {1, "seq"},  {2, "prev"}, {3, "wall_ns"},
                          {4, "monotonic_ns"}, {5, "boot"}, {8, "mac"}};

// §4: the bodies.
constexpr Name kCall[] = {{0, "call_id"},
                          {1, "session"},
                          {2, "agent"},
                          {3, "capability"},
                          {4, "args", Meaning::kOpened},
                          {5, "decision", Meaning::kDecision},
                          {6, "rules"},
                          {7, "policy"},
                          {8, "state_before"},
                          {9, "state_after"},
                          {10, "inputs"},
                          {11, "secrets"},
                          {12, "approval"},
                          {13, "layers_required", Meaning::kLayers},
                          {14, "layers_degraded", Meaning::kLayers},
                          {15, "spec"},
                          {16, "footprint"},
                          {17, "policy_epoch"},
                          {18, "peer"},
                          {19, "budget_before"},
                          {20, "budget_after"}};
constexpr Name kOutcome[] = {
    {0, "call_id"},        {1, "intent_seq"},   {2, "status", Meaning::kStatus},
    {3, "exit_code"},      {4, "detail"},       {5, "result", Meaning::kOpened},
    {6, "result_bytes"},   {7, "usage"},        {8, "receipt"},
    {9, "secrets"},        {10, "state_after"}, {11, "reason", Meaning::kOpened},
    {12, "budget_before"}, {13, "budget_after"}};
constexpr Name kRecovered[] = {
    {0, "form"},    {1, "intent_seq"}, {2, "call_id"}, {3, "status", Meaning::kStatus},
    {4, "segment"}, {5, "offset"},     {6, "bytes"},   {7, "sha256"}};
constexpr Name kSegment[] = {{0, "log_id"},       {1, "segment"}, {2, "first_seq"},
                             {3, "segment_prev"}, {4, "boot_id"}, {5, "build"},
                             {6, "open_intents"}};
constexpr Name kPolicy[] = {{0, "policy"}, {1, "name"}, {2, "policy_epoch"}};
constexpr Name kSession[] = {{0, "session"}, {1, "event"}, {2, "details"}};
constexpr Name kAdmin[] = {{0, "event"}, {1, "details"}};
constexpr Name kGap[] = {{0, "cause"},  {1, "errno"}, {2, "segment"},
                         {3, "offset"}, {4, "bytes"}, {5, "sha256"}};

std::span<const Name> NamesOf(uint64_t kind) {
  using namespace audit::verify;
  switch (kind) {
    case kIntent:
    case kDenial:
    case kDeferral:
      return kCall;
    case audit::verify::kOutcome:
      return krux::tools::kOutcome;
    case audit::verify::kRecovered:
      return krux::tools::kRecovered;
    case audit::verify::kSegment:
      return krux::tools::kSegment;
    case audit::verify::kPolicy:
      return krux::tools::kPolicy;
    case audit::verify::kSession:
      return krux::tools::kSession;
    case audit::verify::kAdmin:
      return krux::tools::kAdmin;
    case audit::verify::kGap:
      return krux::tools::kGap;
    default:
      return {};
  }
}

constexpr const char* kDecisions[] = {"allow", "deny", "ask"};
constexpr const char* kStatuses[] = {"ok",           "failed",  "killed",  "timeout",
                                     "setup_failed", "unknown", "refused", "oom",
                                     "cancelled",    "pids",    "output"};

Value Word(const Value& value, std::span<const char* const> words) {
  const uint64_t* number = value.uint();
  if (number == nullptr || *number >= words.size()) return value;
  return words[*number];
}

// A mask of sandbox::Layer as names; bits of a later version stay numbers.
Value Layers(const Value& value) {
  const uint64_t* mask = value.uint();
  if (mask == nullptr) return value;
  cbor::Array names;
#define X(enumerator, bit, name) \
  if ((*mask >> bit & 1) != 0) names.emplace_back(name);
  KRUX_LAYERS(X)
#undef X
  const uint64_t unknown = *mask & ~uint64_t{sandbox::kAllLayers};
  if (unknown != 0) names.emplace_back(unknown);
  return names;
}

// [salt, value] of the openings; null where the field was redacted.
Value Opened(const Map* openings, uint64_t key) {
  const Value* opening = openings != nullptr ? openings->Find(key) : nullptr;
  if (opening == nullptr || opening->array() == nullptr || opening->array()->size() != 2)
    return nullptr;
  return (*opening->array())[1];
}

void NameFields(const Map& fields, std::span<const Name> names, const Map* openings, Map* out) {
  for (const auto& [key, value] : fields) {
    const Name* found = nullptr;
    for (const Name& name : names) {
      if (key == Value(name.key)) found = &name;
    }
    if (found == nullptr) {
      out->Set("key_" + cbor::Diagnostic(key), value);
      continue;
    }
    switch (found->meaning) {
      case Meaning::kPlain:
        out->Set(found->name, value);
        break;
      case Meaning::kDecision:
        out->Set(found->name, Word(value, kDecisions));
        break;
      case Meaning::kStatus:
        out->Set(found->name, Word(value, kStatuses));
        break;
      case Meaning::kLayers:
        out->Set(found->name, Layers(value));
        break;
      case Meaning::kOpened:
        out->Set(found->name, Opened(openings, found->key));
        break;
    }
  }
}

// The worker's host pid is a field of the receipt: {"pid": [pid, "kernel"]}.
uint64_t WorkerPid(const Map& record) {
  const Value* receipt = record.Find("receipt");
  const Value* pid =
      receipt != nullptr && receipt->map() != nullptr ? receipt->map()->Find("pid") : nullptr;
  if (pid == nullptr || pid->array() == nullptr || pid->array()->empty()) return 0;
  const uint64_t* number = pid->array()->front().uint();
  return number != nullptr ? *number : 0;
}

std::string Time(uint64_t wall_ns) {
  const auto seconds = static_cast<time_t>(wall_ns / 1'000'000'000);
  tm utc = {};
  gmtime_r(&seconds, &utc);
  char text[64];
  const size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  char millis[8];
  snprintf(millis, sizeof millis, ".%03uZ", static_cast<unsigned>(wall_ns / 1'000'000 % 1000));
  return std::string(text, length) + millis;
}

}  // namespace

uint64_t NumberIn(const Map& map, const char* key) {
  const Value* value = map.Find(key);
  return value != nullptr && value->uint() != nullptr ? *value->uint() : 0;
}

std::string TextIn(const Map& map, const char* key) {
  const Value* value = map.Find(key);
  return value != nullptr && value->text() != nullptr ? *value->text() : "";
}

Result<Map> NamedRecord(const audit::verify::RecordView& view) {
  const Value record = KRUX_TRY(cbor::Decode(view.record));
  Value openings;
  if (!view.openings.empty()) openings = KRUX_TRY(cbor::Decode(view.openings));
  const Value* body = record.map() != nullptr ? record.map()->Find(7u) : nullptr;
  if (body == nullptr || body->map() == nullptr) {
    return Fail(ExitCode::kBadData, "read the log",
                "record " + std::to_string(view.seq) + " has no body");
  }
  Map head = *record.map();
  head.Remove(6u);  // the kind and the body have forms of their own
  head.Remove(7u);
  Map named;
  NameFields(head, kHead, nullptr, &named);
  named.Set("kind", KindName(view.kind));
  named.Set("time", Time(NumberIn(named, "wall_ns")));
  NameFields(*body->map(), NamesOf(view.kind), openings.map(), &named);
  if (const uint64_t pid = WorkerPid(named)) named.Set("worker_pid", pid);
  return named;
}

std::string RecordLine(const Map& record) {
  std::string line = std::to_string(NumberIn(record, "seq")) + "  " + TextIn(record, "time") +
                     "  " + TextIn(record, "kind");
  for (const char* key : {"capability", "decision", "status", "event", "name", "cause", "reason"}) {
    if (const std::string text = TextIn(record, key); !text.empty()) line += "  " + text;
  }
  if (const uint64_t intent = NumberIn(record, "intent_seq"))
    line += "  of " + std::to_string(intent);
  const Value* rules = record.Find("rules");
  if (rules != nullptr && rules->array() != nullptr && !rules->array()->empty()) {
    if (const std::string* rule = rules->array()->front().text()) line += "  by " + *rule;
  }
  return EscapeLine(line);
}

}  // namespace krux::tools
