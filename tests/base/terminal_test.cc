#include "base/terminal.h"

#include <gtest/gtest.h>

namespace krux {
namespace {

TEST(Terminal, PlainTextStaysAsItIs) {
  EXPECT_EQ(EscapeText("a\tb\nc \\ é 漢 👩‍💻"), "a\tb\nc \\ é 漢 👩‍💻");
}

TEST(Terminal, EveryC0ControlButNewlineAndTabIsEscaped) {
  for (int c = 0; c < 0x20; ++c) {
    const std::string text(1, static_cast<char>(c));
    if (c == '\n' || c == '\t') {
      EXPECT_EQ(EscapeText(text), text);
    } else {
      EXPECT_EQ(EscapeText(text).size(), 4U) << c;
      EXPECT_EQ(EscapeText(text).substr(0, 2), "\\x") << c;
    }
  }
  EXPECT_EQ(EscapeText("\x7f"), "\\x7f");
  EXPECT_EQ(EscapeText("a\rb"), "a\\x0db");
}

TEST(Terminal, EscapeSequencesArriveVisible) {
  EXPECT_EQ(EscapeText("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(EscapeText("\x1b]52;c;aGk=\x07"), "\\x1b]52;c;aGk=\\x07");
  EXPECT_EQ(EscapeText("\xc2\x9b"
                       "31m"),
            "\\u{9b}31m");  // CSI as one C1 character
  EXPECT_EQ(EscapeText("\x9b"
                       "31m"),
            "\\x9b31m");  // and as a bare byte
}

TEST(Terminal, MarksThatReorderOrHideTextAreEscaped) {
  EXPECT_EQ(EscapeText("a\u202eb"), "a\\u{202e}b");
  EXPECT_EQ(EscapeText("\u2066\u2069\u200f\u061c"), "\\u{2066}\\u{2069}\\u{200f}\\u{61c}");
  EXPECT_EQ(EscapeText("\u2028\ufeff\U000e0041"), "\\u{2028}\\u{feff}\\u{e0041}");
}

TEST(Terminal, WhatIsNotUtf8IsEscapedByteByByte) {
  EXPECT_EQ(EscapeText("\xff"), "\\xff");
  EXPECT_EQ(EscapeText("\xc0\x80"), "\\xc0\\x80");           // overlong NUL
  EXPECT_EQ(EscapeText("\xe0\x80\x9b"), "\\xe0\\x80\\x9b");  // overlong C1
  EXPECT_EQ(EscapeText("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(EscapeText("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(EscapeText("\xe2\x82"), "\\xe2\\x82");           // cut short
  EXPECT_EQ(EscapeText("\xe2\x82\x1b"), "\\xe2\\x82\\x1b");  // the escape is not swallowed
  EXPECT_EQ(EscapeText(std::string("a\0b", 3)), "a\\x00b");
}

TEST(Terminal, ALineStaysALine) { EXPECT_EQ(EscapeLine("a\nb\tc"), "a\\nb\\tc"); }

TEST(Terminal, NothingAtAllGetsThroughForAnyPairOfBytes) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string out = EscapeText(std::string{static_cast<char>(a), static_cast<char>(b)});
      EXPECT_TRUE(IsUtf8(out));
      for (const char c : out) {
        const auto byte = static_cast<unsigned char>(c);
        EXPECT_TRUE(byte >= 0x20 || c == '\n' || c == '\t') << a << " " << b;
        EXPECT_NE(byte, 0x7f);
      }
    }
  }
}

TEST(Terminal, IsUtf8IsStrict) {
  EXPECT_TRUE(IsUtf8("") && IsUtf8("é漢👩") && IsUtf8("\xf4\x8f\xbf\xbf"));
  EXPECT_FALSE(IsUtf8("\x80") || IsUtf8("\xc1\xbf") || IsUtf8("\xed\xbf\xbf") ||
               IsUtf8("a\xe2\x82"));
}

}  // namespace
}  // namespace krux
