#include "policy/policy_values.h"

#include <gtest/gtest.h>

namespace krux::policy {
namespace {

TEST(PolicyValuesTest, Durations) {
  EXPECT_EQ(ReadDuration("2h"), 7'200'000u);
  EXPECT_EQ(ReadDuration("1h30m"), 5'400'000u);
  EXPECT_EQ(ReadDuration("90s"), 90'000u);
  EXPECT_EQ(ReadDuration("500ms"), 500u);
  EXPECT_EQ(ReadDuration("1h2m3s4ms"), 3'723'004u);
  EXPECT_EQ(ReadDuration("0s"), 0u);
  for (const char* bad : {"", "2", "h", "2 h", "-1h", "+1h", "1.5h", "30m1h", "1h1h", "2d", "2H",
                          "99999999h", "18446744073709551616s", "1h "})
    EXPECT_FALSE(ReadDuration(bad)) << bad;
}

TEST(PolicyValuesTest, Bytes) {
  EXPECT_EQ(ReadBytes("64MiB"), 64u << 20);
  EXPECT_EQ(ReadBytes("1kB"), 1000u);
  EXPECT_EQ(ReadBytes("0B"), 0u);
  for (const char* bad : {"", "64", "MiB", "64 MiB", "64mib", "-1B", "1.5MiB", "99999999999TiB"})
    EXPECT_FALSE(ReadBytes(bad)) << bad;
}

TEST(PolicyValuesTest, Money) {
  EXPECT_EQ(ReadMoney("5.00"), 5'000'000u);
  EXPECT_EQ(ReadMoney("5"), 5'000'000u);
  EXPECT_EQ(ReadMoney("0.000001"), 1u);
  for (const char* bad : {"", ".5", "5.", "5.0000001", "-1", "1e3", "5,00", "$5", "9999999999"})
    EXPECT_FALSE(ReadMoney(bad)) << bad;
}

TEST(PolicyValuesTest, WhatIsShownIsReadAgain) {
  for (const uint64_t value : {0u, 1u, 999u, 1000u, 3'600'000u, 5'400'001u}) {
    EXPECT_EQ(ReadDuration(ShowDuration(value)), value);
    EXPECT_EQ(ReadBytes(ShowBytes(value)), value);
    EXPECT_EQ(ReadMoney(ShowMoney(value)), value);
  }
  EXPECT_EQ(ShowBytes(64u << 20), "64MiB");
  EXPECT_EQ(ShowMoney(1'500'000), "1.50");
  EXPECT_EQ(ShowTime(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(ShowTime(1'769'850'000'000), "2026-01-31T09:00:00Z");
  EXPECT_EQ(ShowTime(UINT64_MAX), "9999-12-31T23:59:59Z");
}

}  // namespace
}  // namespace krux::policy
