// krux_claims check|update|embed [ROOT]: the table of claims (verification/claims.toml).
//
//   check    prints the claims; 1 where one is stale
//   update   runs the commands of the stale ones and writes down what succeeded
//   embed    the table as a C++ header, for krux-verify
#include <cstdio>
#include <string>

#include "verification/claims/claims.h"

namespace krux::verification {
namespace {

int Fail(const Error& error) {
  std::fprintf(stderr, "krux_claims: %s\n", error.message.c_str());
  return 1;
}

int Check(const std::string& root) {
  const Result<Claims> claims = ReadClaims(root);
  if (!claims) return Fail(claims.error());
  size_t stale = 0;
  for (const Claim& claim : *claims) {
    std::printf("%-5s %-24s %s\n", claim.stale() ? "STALE" : "ok", claim.id.c_str(),
                claim.claim.c_str());
    stale += claim.stale();
  }
  std::printf("claims: %zu of %zu checked on this code\n", claims->size() - stale, claims->size());
  if (stale > 0)
    std::printf("claims: the code of %zu has changed since; run ./dev verify claims --update\n",
                stale);
  return stale == 0 ? 0 : 1;
}

int Update(const std::string& root) {
  const auto failed = UpdateClaims(root);
  if (!failed) return Fail(failed.error());
  for (const std::string& id : *failed)
    std::printf("claims: `%s` does not hold on this code, or the code changed meanwhile\n",
                id.c_str());
  return failed->empty() ? 0 : 1;
}

int Embed(const std::string& root) {
  const Result<Claims> claims = ReadClaims(root);
  if (!claims) return Fail(claims.error());
  std::printf(
      "// Generated from verification/claims.toml.\n#pragma once\n\n"
      "inline constexpr char kClaims[] = R\"krux(%s)krux\";\n",
      Table(*claims).c_str());
  return 0;
}

}  // namespace
}  // namespace krux::verification

int main(int argc, char** argv) {
  using namespace krux::verification;
  const std::string command = argc >= 2 ? argv[1] : "";
  const std::string root = argc >= 3 ? argv[2] : ".";
  if (command == "check") return Check(root);
  if (command == "update") return Update(root);
  if (command == "embed") return Embed(root);
  std::fprintf(stderr, "usage: krux_claims check|update|embed [ROOT]\n");
  return 64;
}
