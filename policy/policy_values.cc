#include "policy/policy_values.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iterator>

namespace krux::policy {
namespace {

struct Unit {
  std::string_view name;
  uint64_t size;
};
constexpr Unit kTimes[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
constexpr Unit kSizes[] = {{"B", 1},
                           {"kB", 1000},
                           {"MB", 1000'000},
                           {"GB", 1000'000'000},
                           {"TB", 1000'000'000'000},
                           {"KiB", uint64_t{1} << 10},
                           {"MiB", uint64_t{1} << 20},
                           {"GiB", uint64_t{1} << 30},
                           {"TiB", uint64_t{1} << 40}};
constexpr uint64_t kMost = uint64_t{10} * 366 * 24 * 3'600'000;  // ten years in milliseconds

// The digits at the front of `text`, which it loses; nothing if there are none or too many.
std::optional<uint64_t> TakeNumber(std::string_view& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number > UINT64_MAX / 4) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

std::string_view TakeLetters(std::string_view& text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto end = std::ranges::find_if(text, digit) - text.begin();
  const std::string_view letters = text.substr(0, static_cast<size_t>(end));
  text.remove_prefix(letters.size());
  return letters;
}

}  // namespace

std::optional<uint64_t> ReadDuration(std::string_view text) {
  uint64_t total = 0;
  const Unit* next = kTimes;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const std::optional<uint64_t> number = TakeNumber(text);
    const std::string_view name = TakeLetters(text);
    const Unit* unit =
        std::find_if(next, std::end(kTimes), [&](const Unit& other) { return other.name == name; });
    if (!number || unit == std::end(kTimes) || *number > kMost / unit->size) return std::nullopt;
    total += *number * unit->size;
    if (total > kMost) return std::nullopt;
    next = unit + 1;
  }
  return total;
}

std::optional<uint64_t> ReadBytes(std::string_view text) {
  const std::optional<uint64_t> number = TakeNumber(text);
  const auto unit = std::ranges::find(kSizes, text, &Unit::name);
  if (!number || unit == std::end(kSizes) || *number > UINT64_MAX / 4 / unit->size)
    return std::nullopt;
  return *number * unit->size;
}

std::optional<uint64_t> ReadMoney(std::string_view text) {
  const std::optional<uint64_t> whole = TakeNumber(text);
  if (!whole || *whole > 1'000'000'000) return std::nullopt;
  uint64_t millionths = *whole * 1'000'000;
  if (text.empty()) return millionths;
  if (text[0] != '.' || text.size() < 2 || text.size() > 7) return std::nullopt;
  uint64_t worth = 100'000;
  for (const char c : text.substr(1)) {
    if (c < '0' || c > '9') return std::nullopt;
    millionths += static_cast<uint64_t>(c - '0') * worth;
    worth /= 10;
  }
  return millionths;
}

std::string ShowDuration(uint64_t milliseconds) {
  std::string text;
  for (const Unit& unit : kTimes) {
    if (milliseconds < unit.size) continue;
    text += std::to_string(milliseconds / unit.size) + std::string(unit.name);
    milliseconds %= unit.size;
  }
  return text.empty() ? "0s" : text;
}

std::string ShowBytes(uint64_t bytes) {
  const Unit* best = kSizes;
  for (const Unit& unit : kSizes) {
    if (bytes != 0 && bytes % unit.size == 0 && unit.size > best->size) best = &unit;
  }
  return std::to_string(bytes / best->size) + std::string(best->name);
}

std::string ShowMoney(uint64_t millionths) {
  std::string cents = std::to_string(1'000'000 + millionths % 1'000'000).substr(1);
  while (cents.size() > 2 && cents.back() == '0') cents.pop_back();
  return std::to_string(millionths / 1'000'000) + "." + cents;
}

std::string ShowTime(uint64_t milliseconds) {
  using namespace std::chrono;
  const uint64_t seconds = std::min<uint64_t>(milliseconds / 1000, 253'402'300'799);  // year 9999
  const sys_days day{days(seconds / 86'400)};
  const year_month_day date(day);
  const uint64_t rest = seconds % 86'400;
  const auto padded = [](uint64_t number, size_t width) {
    std::string digits = std::to_string(number);
    return std::string(width - std::min(width, digits.size()), '0') + digits;
  };
  return padded(static_cast<uint64_t>(static_cast<int>(date.year())), 4) + "-" +
         padded(static_cast<unsigned>(date.month()), 2) + "-" +
         padded(static_cast<unsigned>(date.day()), 2) + "T" + padded(rest / 3600, 2) + ":" +
         padded(rest / 60 % 60, 2) + ":" + padded(rest % 60, 2) + "Z";
}

}  // namespace krux::policy
