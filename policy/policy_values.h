// The numbers of policy files as people write them. Total: what is not written like this is
// nothing.
//
//   ReadDuration("1h30m")   // 5400000, milliseconds
//   ReadBytes("64MiB")      // 67108864
//   ReadMoney("5.00")       // 5000000, millionths
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace krux::policy {

// Largest unit first, each at most once, units h, m, s, ms. Never more than ten years.
std::optional<uint64_t> ReadDuration(std::string_view text);
// Decimal digits and one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB.
std::optional<uint64_t> ReadBytes(std::string_view text);
// Digits, and a point with one to six more.
std::optional<uint64_t> ReadMoney(std::string_view text);

// The same numbers for people: "1h30m", "64MiB", "5.00".
std::string ShowDuration(uint64_t milliseconds);
std::string ShowBytes(uint64_t bytes);
std::string ShowMoney(uint64_t millionths);
// Milliseconds since 1970 as RFC 3339 in UTC: "2026-01-31T09:00:00Z".
std::string ShowTime(uint64_t milliseconds);

}  // namespace krux::policy
