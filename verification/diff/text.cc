#include "verification/diff/text.h"

#include <charconv>
#include <cstring>
#include <span>

namespace krux::diff {
namespace {

constexpr const char* kDimensions[] = {
#define KRUX_DIMENSION(id, name, consequential, lockdown, what) name,
#include "policy/kernel/tables.def"
    "none"};
constexpr const char* kRisks[] = {
#define KRUX_RISK(id, name) name,
#include "policy/kernel/tables.def"
};
constexpr const char* kVerdicts[] = {
#define KRUX_VERDICT(id, name) name,
#include "policy/kernel/tables.def"
};
constexpr const char* kTickets[] = {
#define KRUX_TICKET(id, name, what) name,
#include "policy/kernel/tables.def"
};
constexpr const char* kParts[] = {
#define KRUX_COMPONENT(id, name, what) name,
#include "policy/kernel/tables.def"
};
constexpr const char* kBools[] = {"false", "true"};

std::span<const char* const> NamesOf(Style style) {
  switch (style) {
    case Style::kBool:
      return kBools;
    case Style::kDimension:
      return kDimensions;
    case Style::kRisk:
      return kRisks;
    case Style::kMode:
      return kVerdicts;
    case Style::kTicketKind:
      return kTickets;
    default:
      return {};
  }
}

std::string Hex(uint64_t value) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value, 16).ptr;
  return "0x" + std::string(text, end);
}

std::string ValueText(Style style, uint64_t value) {
  const auto names = NamesOf(style);
  if (value < names.size()) return names[value];
  return style == Style::kBits ? Hex(value) : std::to_string(value);
}

bool Number(std::string_view text, uint64_t& value) {
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  return error == std::errc() && end == text.data() + text.size();
}

bool Value(Style style, std::string_view text, uint64_t& value) {
  const auto names = NamesOf(style);
  for (size_t i = 0; i < names.size(); ++i) {
    if (text != names[i]) continue;
    value = i;
    return true;
  }
  return Number(text, value);
}

// Takes the next word off `text`.
std::string_view Word(std::string_view& text, char until = ' ') {
  while (text.starts_with(' ')) text.remove_prefix(1);
  const size_t end = std::min(text.find(until), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

bool SetField(Event& event, std::string_view name, std::string_view values) {
  for (const Field& field : FieldsOf(event.kind)) {
    if (field.name != name) continue;
    for (int i = 0; i < field.count; ++i) {
      uint64_t value = 0;
      if (!Value(field.style, Word(values, ','), value)) return false;
      if (field.width < 8 && value >> (8 * field.width) != 0) return false;
      field.Set(event, i, value);
    }
    return values.empty();
  }
  return false;
}

// The fields of a result as people see them.
struct ResultField {
  const char* name;
  Style style;
  uint64_t (*get)(const Result&);
  void (*set)(Result&, uint64_t);
};
#define KRUX_RESULT_FIELD(member, style)                                        \
  {#member, Style::style, [](const Result& r) -> uint64_t { return r.member; }, \
   [](Result& r, uint64_t value) { r.member = static_cast<decltype(r.member)>(value); }}
const ResultField kResultFields[] = {
    KRUX_RESULT_FIELD(returned, kBool), KRUX_RESULT_FIELD(verdict, kMode),
    KRUX_RESULT_FIELD(reasons, kBits),  KRUX_RESULT_FIELD(contribution, kNumber),
    KRUX_RESULT_FIELD(ticket, kNumber), KRUX_RESULT_FIELD(exposure, kNumber),
    KRUX_RESULT_FIELD(state, kBits),    KRUX_RESULT_FIELD(extra, kBits),
};
#undef KRUX_RESULT_FIELD

bool SetResult(Result& result, std::string_view name, std::string_view text) {
  uint64_t value = 0;
  for (int i = 0; i < KRUX_COMPONENTS; ++i) {
    if (name != kParts[i]) continue;
    const bool read = Value(Style::kMode, text, value);
    result.parts[i] = static_cast<uint8_t>(value);
    return read;
  }
  for (const ResultField& field : kResultFields) {
    if (name != field.name || !Value(field.style, text, value)) continue;
    field.set(result, value);
    return true;
  }
  return false;
}

std::string ResultFromText(std::string_view text, Result& result) {
  result = {};
  result.returned = 0;
  for (std::string_view word; !(word = Word(text)).empty();) {
    const std::string_view name = Word(word, '=');
    if (!SetResult(result, name, word))
      return "`" + std::string(name) + "` is no field of a result";
  }
  return "";
}

}  // namespace

std::string ToText(const Event& event) {
  std::string text = Name(event.kind);
  text += " " + std::to_string(event.session);
  for (const Field& field : FieldsOf(event.kind)) {
    std::string values;
    bool any = false;
    for (int i = 0; i < field.count; ++i) {
      const uint64_t value = field.Get(event, i);
      any = any || value != 0;
      values += (i == 0 ? "" : ",") + ValueText(field.style, value);
    }
    if (any) text += " " + field.name + "=" + values;
  }
  return text;
}

std::string FromText(std::string_view line, Event& event) {
  event = {};
  const std::string_view kind = Word(line);
  int tag = 1;
  while (tag <= kKinds && kind != Name(static_cast<Kind>(tag))) ++tag;
  if (tag > kKinds) return "`" + std::string(kind) + "` is no event";
  event.kind = static_cast<Kind>(tag);
  uint64_t session = 0;
  if (!Number(Word(line), session) || session >= kSessions) return "an event names its session";
  event.session = static_cast<uint8_t>(session);
  for (std::string_view word; !(word = Word(line)).empty();) {
    const std::string_view name = Word(word, '=');
    if (!SetField(event, name, word))
      return "`" + std::string(name) + "` is no field of it, or has no such value";
  }
  return "";
}

std::string ToText(const Result& result) {
  std::string text;
  for (const ResultField& field : kResultFields) {
    const uint64_t value = field.get(result);
    if (value != 0) text += " " + std::string(field.name) + "=" + ValueText(field.style, value);
  }
  for (int i = 0; i < KRUX_COMPONENTS; ++i) {
    if (result.parts[i] == KRUX_DENY) continue;
    text += " " + std::string(kParts[i]) + "=" + ValueText(Style::kMode, result.parts[i]);
  }
  return text.empty() ? "" : text.substr(1);
}

std::string WriteRegression(const Regression& regression, const std::string& comment) {
  std::string text = "# " + comment + "\n";
  for (size_t i = 0; i < regression.events.size(); ++i) {
    text += ToText(regression.events[i]) + "\n  => " + ToText(regression.answers[i]) + "\n";
  }
  return text;
}

std::string ReadRegression(std::string_view text, Regression& regression) {
  int number = 0;
  const auto wrong = [&](const std::string& what) {
    return "line " + std::to_string(number) + ": " + what;
  };
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    std::string error;
    if (line.starts_with("  => ")) {
      error = ResultFromText(line.substr(5), regression.answers.emplace_back());
    } else {
      error = FromText(line, regression.events.emplace_back());
    }
    if (!error.empty()) return wrong(error);
    if (regression.answers.size() > regression.events.size() ||
        regression.answers.size() + 1 < regression.events.size())
      return wrong("each event has one answer behind it");
  }
  return regression.events.size() == regression.answers.size() ? ""
                                                               : wrong("the last answer lacks");
}

}  // namespace krux::diff
