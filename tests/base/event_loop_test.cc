// The event loop: descriptors, timers and signals, and what happens when a callback misbehaves.

#include "base/event_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace krux {
namespace {

class EventLoopTest : public testing::Test {
 protected:
  EventLoopTest() : loop_(EventLoop::Create().value()) {
    // Nothing here waits longer than this, whatever goes wrong.
    guard_ = loop_.AddTimer(10'000'000, [this] { loop_.Exit(99); }).value();
  }
  EventLoop loop_;
  EventSource guard_;
};

TEST_F(EventLoopTest, ADescriptorThatIsReadableIsServed) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const auto source = loop_.AddIo(fds[0], 1 /* EPOLLIN */, [&](uint32_t) { loop_.Exit(7); });
  ASSERT_TRUE(source);
  ASSERT_EQ(write(fds[1], "x", 1), 1);
  EXPECT_EQ(loop_.Run().value(), 7);
  close(fds[0]);
  close(fds[1]);
}

TEST_F(EventLoopTest, TimersRunInTheOrderOfTheirTimes) {
  std::string order;
  const auto late = loop_.AddTimer(20'000, [&] {
    order += 'b';
    loop_.Exit(0);
  });
  const auto early = loop_.AddTimer(1'000, [&] { order += 'a'; });
  EXPECT_EQ(loop_.Run().value(), 0);
  EXPECT_EQ(order, "ab");
}

TEST_F(EventLoopTest, ASourceThatIsGoneIsSilent) {
  bool ran = false;
  auto gone = loop_.AddTimer(1'000, [&] { ran = true; }).value();
  gone.Reset();
  const auto end = loop_.AddTimer(30'000, [&] { loop_.Exit(0); });
  EXPECT_EQ(loop_.Run().value(), 0);
  EXPECT_FALSE(ran);
}

TEST_F(EventLoopTest, ACallbackMayDestroyItsOwnSource) {
  EventSource self;
  self = loop_
             .AddTimer(1'000,
                       [&] {
                         self.Reset();
                         loop_.Exit(3);
                       })
             .value();
  EXPECT_EQ(loop_.Run().value(), 3);
  EXPECT_FALSE(self.active());
}

TEST_F(EventLoopTest, SignalsArriveAsEvents) {
  const auto source = loop_.AddSignal(SIGUSR1, [&] { loop_.Exit(5); });
  ASSERT_TRUE(source);
  raise(SIGUSR1);
  EXPECT_EQ(loop_.Run().value(), 5);
}

// A descriptor that is always ready and a deferred call: with idle priority it would never run.
TEST_F(EventLoopTest, DeferredWorkRunsFromTheLoopAndABusyLoopDoesNotStarveIt) {
  bool inside = true;
  const auto deferred = loop_.AddDefer([&] {
    EXPECT_FALSE(inside) << "never from inside the caller";
    loop_.Exit(7);
  });
  inside = false;
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  ASSERT_EQ(write(fds[1], "x", 1), 1);
  int turns = 0;
  const auto busy = loop_.AddIo(fds[0], 1, [&](uint32_t) {
    if (++turns == 1000) loop_.Exit(0);
  });
  EXPECT_EQ(loop_.Run().value(), 7);
  close(fds[0]);
  close(fds[1]);
}

TEST_F(EventLoopTest, WhatGoesFirstGoesFirst) {
  std::string order;
  int fds[4];
  ASSERT_EQ(pipe(fds), 0);
  ASSERT_EQ(pipe(fds + 2), 0);
  ASSERT_EQ(write(fds[1], "x", 1), 1);
  ASSERT_EQ(write(fds[3], "x", 1), 1);
  const auto later = loop_.AddIo(fds[0], 1, [&](uint32_t) {
    order += 'l';
    loop_.Exit(0);
  });
  auto first = loop_.AddIo(fds[2], 1, [&](uint32_t) {
    order += 'f';
    char byte;
    EXPECT_EQ(read(fds[2], &byte, 1), 1);
  });
  ASSERT_TRUE(later && first);
  first->GoFirst();
  EXPECT_EQ(loop_.Run().value(), 0);
  EXPECT_EQ(order, "fl");
  for (const int fd : fds) close(fd);
}

TEST_F(EventLoopTest, AnExceptionEndsTheLoopWithAnError) {
  const auto source = loop_.AddTimer(1'000, [] { throw std::runtime_error("no"); });
  EXPECT_FALSE(loop_.Run());
}

}  // namespace
}  // namespace krux
