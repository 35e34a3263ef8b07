// What krux claims: each claim with what shows it, the command that checks it, and the hash of the
// code that it is about. A claim whose code has changed since the command last succeeded is stale.
//
//   Claims claims = KRUX_TRY(ReadClaims(root));
//   for (const Claim& claim : claims) if (claim.stale()) …
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace krux::verification {

struct Claim {
  std::string id;
  std::string claim;               // one sentence
  std::string artifact;            // "file" or "file: Name", which stands in it
  std::string command;             // run with bash at the root of the tree; 0: it holds
  std::vector<std::string> files;  // "a/b.c", "a/*.v" or "a/**"
  std::string checked;             // hash of the files when the command last succeeded
  std::string hash;                // hash of the files now

  bool stale() const { return checked != hash; }
};
using Claims = std::vector<Claim>;

inline constexpr std::string_view kClaimsFile = "verification/claims.toml";

// An error where the file is malformed, an artifact or a file is not there, or an id comes twice.
Result<Claims> ReadClaims(const std::string& root);

// Runs each stale claim's command, once where several share it, and writes the hash of those that
// succeeded. The ids of the others.
Result<std::vector<std::string>> UpdateClaims(const std::string& root);

// One line a claim, for people.
std::string Table(const Claims& claims);

}  // namespace krux::verification
