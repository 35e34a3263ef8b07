// Bulk data between processes cannot change, shrink or be longer than announced.

#include "base/sealed_memfd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace krux {
namespace {

UniqueFd Filled(const char* text, bool seal) {
  UniqueFd fd = SealedMemfd::Create("test", 16).value();
  EXPECT_EQ(pwrite(fd.get(), text, std::strlen(text), 0), static_cast<ssize_t>(std::strlen(text)));
  if (seal) {
    EXPECT_TRUE(SealedMemfd::Seal(fd.get()));
  }
  return fd;
}

TEST(SealedMemfd, TheSizeIsFixedFromTheStart) {
  const UniqueFd fd = SealedMemfd::Create("test", 16).value();
  EXPECT_EQ(ftruncate(fd.get(), 32), -1);
  EXPECT_EQ(ftruncate(fd.get(), 8), -1);
  char byte = 'x';
  EXPECT_EQ(pwrite(fd.get(), &byte, 1, 16), -1) << "a write beyond the end grows the file";
}

TEST(SealedMemfd, AfterTheSealNobodyWrites) {
  const UniqueFd fd = Filled("hello", true);
  char byte = 'x';
  EXPECT_EQ(pwrite(fd.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(mmap(nullptr, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0), MAP_FAILED);
}

TEST(SealedMemfd, ASealFailsWhileSomebodyMapsItForWriting) {
  const UniqueFd fd = Filled("hello", false);
  void* map = mmap(nullptr, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(map, MAP_FAILED);
  EXPECT_FALSE(SealedMemfd::Seal(fd.get()));
  munmap(map, 16);
  EXPECT_TRUE(SealedMemfd::Seal(fd.get()));
}

TEST(SealedMemfd, WhatIsNotSealedOrTooLargeOrNoMemfdIsRefused) {
  EXPECT_FALSE(SealedMemfd::Accept(Filled("hello", false), 64));
  EXPECT_FALSE(SealedMemfd::Accept(Filled("hello", true), 15));
  EXPECT_FALSE(SealedMemfd::Accept(UniqueFd(open("/dev/zero", O_RDONLY | O_CLOEXEC)), 64));
  EXPECT_TRUE(SealedMemfd::Accept(Filled("hello", true), 16));
}

TEST(SealedMemfd, ReadsExactlyOrNotAtAll) {
  const SealedMemfd sealed = SealedMemfd::Accept(Filled("hello", true), 16).value();
  uint8_t five[5];
  ASSERT_TRUE(sealed.Read(0, five));
  EXPECT_EQ(std::memcmp(five, "hello", 5), 0);
  EXPECT_FALSE(sealed.Read(12, five));
}

}  // namespace
}  // namespace krux
