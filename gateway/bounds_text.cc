#include "gateway/bounds_text.h"

#include <charconv>

#include "policy/nearest.h"

namespace krux::gateway {
namespace {

constexpr std::string_view kNames[] = {
#define X(name, value, least, most) #name,
    KRUX_BOUNDS(X)
#undef X
};

Result<void> Set(uint64_t& bound, std::string_view name, uint64_t value, uint64_t least,
                 uint64_t most) {
  if (value < least || value > most) {
    return Fail(ExitCode::kConfig, "limits",
                "`limits." + std::string(name) + "` is " + std::to_string(value) +
                    "; it must lie between " + std::to_string(least) + " and " +
                    std::to_string(most));
  }
  bound = value;
  return {};
}

}  // namespace

Result<void> SetBound(Bounds& bounds, std::string_view name, uint64_t value) {
#define X(field, default_value, least, most) \
  if (name == #field) return Set(bounds.field, name, value, least, most);
  KRUX_BOUNDS(X)
#undef X
  return Fail(ExitCode::kConfig, "limits",
              "unknown key `limits." + std::string(name) + "`" +
                  policy::DidYouMean(name, kNames, "; docs/PROTOCOL.md lists them"));
}

Result<void> ReadBounds(Bounds& bounds, std::string_view text) {
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(word.size() < text.size() ? word.size() + 1 : word.size());
    const size_t equals = word.find('=');
    uint64_t value = 0;
    const char* const end = word.data() + word.size();
    const char* const begin = equals == std::string_view::npos ? end : word.data() + equals + 1;
    if (begin == end || std::from_chars(begin, end, value).ptr != end) {
      return Fail(ExitCode::kUsage, "limits", "`" + std::string(word) + "` is no name=number");
    }
    KRUX_TRY(SetBound(bounds, word.substr(0, equals), value));
  }
  return {};
}

}  // namespace krux::gateway
