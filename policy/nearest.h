// Nearest: the known word a mistyped one was meant to be, for "did you mean" in messages.
//
//   Nearest("read_file", names)     // "read_files"
//   Nearest("zebra", names)         // ""
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace krux::policy {

// The candidate with the fewest edits, if they are at most a third of the word; else empty. Case
// and blanks around the word count for nothing. Words over 64 bytes have no neighbours.
std::string_view Nearest(std::string_view word, std::span<const std::string_view> candidates);

// "; did you mean `…`?", or `otherwise`.
std::string DidYouMean(std::string_view word, std::span<const std::string_view> candidates,
                       std::string_view otherwise = "");

}  // namespace krux::policy
