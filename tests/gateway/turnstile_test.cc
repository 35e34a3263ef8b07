// Whose turn it is, without a gateway around it.
#include "gateway/turnstile.h"

#include <gtest/gtest.h>

#include <set>

#include "gateway/allowance.h"

namespace krux::gateway {
namespace {

bool Anybody(uint64_t) { return true; }

// Lets everybody pass who may; returns the names in the order of passing.
std::vector<std::string> PassAll(Turnstile& line, const std::map<uint64_t, std::string>& names) {
  std::vector<std::string> order;
  while (const auto ticket = line.Next(Anybody)) order.push_back(names.at(*ticket));
  return order;
}

TEST(Turnstile, TurnsAreTakenAtEveryLevelNotByArrival) {
  Turnstile line({{100, 100}, {100, 100}, {100, 100}});
  std::map<uint64_t, std::string> names;
  for (int i = 0; i < 4; ++i) names[*line.Enter({"hog", "s", std::to_string(i)})] = "hog";
  for (int i = 0; i < 2; ++i) names[*line.Enter({"hog", "t", "9"})] = "other session";
  names[*line.Enter({"modest", "s", "0"})] = "modest";
  EXPECT_EQ(PassAll(line, names), (std::vector<std::string>{"hog", "modest", "other session", "hog",
                                                            "other session", "hog", "hog"}));
}

TEST(Turnstile, WhatOneConnectionAsksKeepsItsOrder) {
  Turnstile line({{100, 100}});
  std::map<uint64_t, std::string> names;
  for (const char* name : {"1", "2", "3"}) names[*line.Enter({"a"})] = name;
  EXPECT_EQ(PassAll(line, names), (std::vector<std::string>{"1", "2", "3"}));
}

TEST(Turnstile, AQuarterIsKeptForWhoHasNothing) {
  Turnstile line({{8, 8}});
  std::vector<uint64_t> hog;
  while (const auto ticket = line.Enter({"hog"})) hog.push_back(*ticket);
  EXPECT_EQ(hog.size(), 6u) << "of the places to wait";
  const auto second = line.Enter({"second"});
  ASSERT_TRUE(second.has_value());
  size_t passed = 0;
  bool seen = false;
  while (const auto ticket = line.Next(Anybody)) {
    ++passed;
    seen |= *ticket == *second;
  }
  EXPECT_EQ(passed, 6u) << "and of those that pass";
  EXPECT_TRUE(seen);
  const auto third = line.Enter({"third"});
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(line.Next(Anybody), third);
  const auto fourth = line.Enter({"fourth"});
  ASSERT_TRUE(fourth.has_value());
  EXPECT_EQ(line.Next(Anybody), fourth);
  const auto fifth = line.Enter({"fifth"});
  ASSERT_TRUE(fifth.has_value());
  EXPECT_FALSE(line.Next(Anybody).has_value()) << "eight are eight";
  line.Done(hog[0]);
  EXPECT_EQ(line.Next(Anybody), fifth);
}

TEST(Turnstile, WhoMayNotPassLeavesTheTurnToOthers) {
  Turnstile line({{8, 8}, {8, 8}});
  const auto held = line.Enter({"a", "held"});
  const auto free = line.Enter({"a", "free"});
  const auto not_held = [&](uint64_t ticket) { return ticket != *held; };
  EXPECT_EQ(line.Next(not_held), free);
  EXPECT_FALSE(line.Next(not_held).has_value());
  EXPECT_EQ(line.Next(Anybody), held);
}

TEST(Turnstile, WhoLeavesTheLineIsForgottenAndDoneTwiceIsDoneOnce) {
  Turnstile line({{2, 8}, {2, 8}});
  const auto a = line.Enter({"x", "1"});
  const auto b = line.Enter({"x", "1"});
  line.Done(*a);
  line.Done(*a);
  EXPECT_EQ(line.waiting(), 1u);
  EXPECT_EQ(line.Next(Anybody), b);
  line.Done(*b);
  EXPECT_EQ(line.waiting() + line.passed(), 0u);
  EXPECT_TRUE(line.HasPlace({"x", "1"}));
}

// Whatever comes, goes and ends: no bound is ever exceeded, nobody is lost, and all is empty in the
// end.
TEST(Turnstile, NoOrderOfEventsBreaksABound) {
  Turnstile line({{6, 12}, {4, 8}, {2, 6}});
  std::set<uint64_t> waiting, passed;
  uint64_t seed = 7;
  const auto below = [&seed](uint64_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % n;
  };
  const auto any = [&](const std::set<uint64_t>& set) {
    auto it = set.begin();
    std::advance(it, below(set.size()));
    return *it;
  };
  for (int i = 0; i < 20'000; ++i) {
    switch (below(4)) {
      case 0: {
        const auto ticket = line.Enter(
            {std::to_string(below(3)), std::to_string(below(2)), std::to_string(below(3))});
        if (ticket) waiting.insert(*ticket);
        break;
      }
      case 1:
        if (const auto ticket = line.Next([&](uint64_t) { return below(5) != 0; })) {
          ASSERT_EQ(waiting.erase(*ticket), 1u);
          passed.insert(*ticket);
        }
        break;
      case 2:
        if (!passed.empty()) {
          const uint64_t ticket = any(passed);
          line.Done(ticket);
          passed.erase(ticket);
        }
        break;
      default:
        if (!waiting.empty() && below(4) == 0) {
          const uint64_t ticket = any(waiting);
          line.Done(ticket);
          waiting.erase(ticket);
        }
    }
    ASSERT_EQ(line.waiting(), waiting.size());
    ASSERT_EQ(line.passed(), passed.size());
    ASSERT_LE(line.passed(), 6u);
    ASSERT_LE(line.waiting(), 12u);
  }
  for (const uint64_t ticket : passed) line.Done(ticket);
  size_t rest = waiting.size();
  while (const auto ticket = line.Next(Anybody)) {
    line.Done(*ticket);
    --rest;
  }
  EXPECT_EQ(rest, 0u);
  EXPECT_EQ(line.waiting() + line.passed(), 0u);
}

TEST(Allowance, ABurstThenSoManyASecond) {
  constexpr uint64_t kSecond = 1'000'000'000;
  Allowance allowance(10, 0);
  EXPECT_TRUE(allowance.Full(0));
  int spent = 0;
  for (; !allowance.Overdrawn(0); ++spent) allowance.Spend(0);
  EXPECT_EQ(spent, 5);
  EXPECT_TRUE(allowance.Overdrawn(kSecond / 20));
  EXPECT_FALSE(allowance.Overdrawn(kSecond / 10));
  for (int i = 0; i < 11; ++i) allowance.Spend(kSecond / 10);  // more than there is: a debt
  EXPECT_TRUE(allowance.Overdrawn(kSecond));
  EXPECT_FALSE(allowance.Overdrawn(kSecond + kSecond / 5));
  EXPECT_TRUE(allowance.Full(100 * kSecond)) << "never more than the burst";
}

}  // namespace
}  // namespace krux::gateway
