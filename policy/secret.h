// Secrets: paths that no call reads or writes, whatever else a policy grants. `[paths] secret` of a
// policy file; the list of a meet is that of both sides.
//
//   Pattern keys = KRUX_TRY(CompileSecret("**/.ssh/**", "team:9 paths.secret"));
//   std::vector<Pattern> secrets = SecretsForWork(std::span(&keys, 1), "/home/ann/project");
//   CheckSecret(secrets, "/home/ann/project/.ssh/id_rsa");   // inside, "team:9 paths.secret"
//
// A pattern names the top of what is secret: everything beneath is too, with or without `/**` at
// its end. ASCII letters count alike in either case: some file systems do not tell them apart.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/match.h"

namespace krux::policy {

// As CompilePath; letters are lowered, a `/**` at the end is dropped.
Result<Pattern> CompileSecret(std::string_view text, std::string_view rule);

// The patterns with ${WORK} replaced.
std::vector<Pattern> SecretsForWork(std::span<const Pattern> secrets, std::string_view work);

// Every secret of either; of two equal patterns `named`'s, so that its line is the one people read.
std::vector<Pattern> UniteSecrets(std::span<const Pattern> ceiling, std::span<const Pattern> named);

// Is `canonical_path` secret, or in something that is? What is not canonical is secret.
Membership CheckSecret(std::span<const Pattern> secrets, std::string_view canonical_path);

// The parts of a path, which they point into.
std::vector<std::string_view> PathComponents(std::string_view path);

// Bytes with A–Z as a–z.
std::string Lowered(std::string_view text);

// The pattern that makes exactly these components the top of a secret; null where there is none.
// For walks that have asked about every directory above already, with names that were lowered.
const Pattern* SecretTop(std::span<const Pattern> secrets,
                         std::span<const std::string_view> lowered_components);

}  // namespace krux::policy
