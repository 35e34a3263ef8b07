#include "verification/claims/claims.h"

#include <openssl/evp.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "base/toml.h"

namespace krux::verification {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::unexpected<Error> Wrong(const std::string& what) {
  return Fail(ExitCode::kBadData, "claims", std::string(kClaimsFile) + ": " + what);
}

// The files that one entry stands for, relative to the root.
std::vector<std::string> Expand(const fs::path& root, const std::string& entry) {
  std::vector<std::string> found;
  const auto take = [&](const fs::directory_entry& file) {
    if (file.is_regular_file()) found.push_back(file.path().lexically_relative(root).string());
  };
  if (entry.ends_with("/**")) {
    const fs::path folder = root / entry.substr(0, entry.size() - 3);
    if (!fs::is_directory(folder)) return found;
    for (const auto& file : fs::recursive_directory_iterator(folder)) take(file);
  } else if (const size_t star = entry.find("/*."); star != entry.npos) {
    const fs::path folder = root / entry.substr(0, star);
    if (!fs::is_directory(folder)) return found;
    for (const auto& file : fs::directory_iterator(folder)) {
      if (file.path().extension() == entry.substr(star + 2)) take(file);
    }
  } else if (fs::is_regular_file(root / entry)) {
    found.push_back(entry);
  }
  return found;
}

// SHA-256 over each path, the length of the file and the file, in the order of the paths.
std::string HashOf(const fs::path& root, const std::set<std::string>& files) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestInit_ex(context, EVP_sha256(), nullptr);
  for (const std::string& path : files) {
    const std::string content = ReadFile(root / path);
    const std::string head = path + '\0' + std::to_string(content.size()) + '\0';
    EVP_DigestUpdate(context, head.data(), head.size());
    EVP_DigestUpdate(context, content.data(), content.size());
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(context, digest, &size);
  EVP_MD_CTX_free(context);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    char byte[3];
    std::snprintf(byte, sizeof byte, "%02x", digest[i]);
    hex += byte;
  }
  return hex;
}

// "file: Name": the file is there and the name stands in it.
bool IsThere(const fs::path& root, const std::string& artifact) {
  const size_t colon = artifact.find(": ");
  const fs::path file = root / artifact.substr(0, colon);
  if (!fs::exists(file)) return false;
  return colon == artifact.npos ||
         ReadFile(file).find(artifact.substr(colon + 2)) != std::string::npos;
}

Result<Claim> ReadClaim(const fs::path& root, const toml::table& table) {
  Claim claim;
  claim.id = table["id"].value_or("");
  const std::pair<const char*, std::string*> texts[] = {{"id", &claim.id},
                                                        {"claim", &claim.claim},
                                                        {"artifact", &claim.artifact},
                                                        {"command", &claim.command},
                                                        {"checked", &claim.checked}};
  for (const auto& [key, text] : texts) {
    if (!table[key].is_string()) return Wrong("`" + claim.id + "` has no `" + key + "`");
    *text = table[key].value_or("");
  }
  std::set<std::string> files;
  const toml::array* entries = table["files"].as_array();
  if (entries == nullptr || entries->empty() || table.size() != std::size(texts) + 1)
    return Wrong("`" + claim.id + "` has no files, or keys that mean nothing");
  for (const toml::node& node : *entries) {
    const std::string entry = node.value_or("");
    const std::vector<std::string> found = Expand(root, entry);
    if (found.empty())
      return Wrong("`" + claim.id + "` is about `" + entry + "`, which is nothing");
    files.insert(found.begin(), found.end());
    claim.files.push_back(entry);
  }
  if (!IsThere(root, claim.artifact))
    return Wrong("`" + claim.id + "` rests on `" + claim.artifact + "`, which is not there");
  claim.hash = HashOf(root, files);
  return claim;
}

// Writes `hash` into the line `checked = …` of the claim.
Result<void> WriteChecked(const std::string& root, const Claim& claim) {
  const fs::path path = fs::path(root) / kClaimsFile;
  std::string text = ReadFile(path);
  const size_t id = text.find("\nid = \"" + claim.id + "\"\n");
  const size_t line = id == text.npos ? id : text.find("\nchecked = \"", id);
  if (line == text.npos || text.find("\n[[claim]]", id) < line)
    return Wrong("`" + claim.id + "` needs lines `id = \"…\"` and `checked = \"…\"`");
  const size_t begin = line + 12, end = text.find('"', begin);
  text.replace(begin, end - begin, claim.hash);
  const fs::path fresh = path.string() + ".new";
  std::ofstream file(fresh, std::ios::binary);
  file << text;
  file.close();
  std::error_code error;
  fs::rename(fresh, path, error);
  if (!file || error) return Wrong("cannot be written");
  return {};
}

bool Succeeds(const std::string& root, const std::string& command) {
  // `bash -c` keeps what the command is in one place; it comes from the tree, not from a caller.
  const std::string line = "cd '" + root + "' && " + command + " </dev/null";
  const int status = std::system(line.c_str());  // NOLINT(concurrency-mt-unsafe): one thread
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

Result<Claims> ReadClaims(const std::string& root) {
  const fs::path path = fs::path(root) / kClaimsFile;
  const toml::table table = KRUX_TRY(ParseToml(ReadFile(path), kClaimsFile));
  const toml::array* rows = table["claim"].as_array();
  if (rows == nullptr || table.size() != 1) return Wrong("holds `[[claim]]` alone");
  Claims claims;
  std::set<std::string> ids;
  for (const toml::node& row : *rows) {
    if (!row.is_table()) return Wrong("holds `[[claim]]` alone");
    Claim claim = KRUX_TRY(ReadClaim(root, *row.as_table()));
    if (!ids.insert(claim.id).second) return Wrong("`" + claim.id + "` comes twice");
    claims.push_back(std::move(claim));
  }
  if (claims.empty()) return Wrong("claims nothing");
  return claims;
}

Result<std::vector<std::string>> UpdateClaims(const std::string& root) {
  std::vector<std::string> failed;
  std::map<std::string, bool> ran;
  for (const Claim& claim : KRUX_TRY(ReadClaims(root))) {
    if (!claim.stale()) continue;
    if (!ran.contains(claim.command)) {
      std::printf("claims: `%s` is stale; running %s\n", claim.id.c_str(), claim.command.c_str());
      std::fflush(stdout);
      ran[claim.command] = Succeeds(root, claim.command);
    }
    // What changed while the command ran was not checked by it.
    const Claims now = KRUX_TRY(ReadClaims(root));
    const auto same = std::find_if(now.begin(), now.end(), [&](const Claim& other) {
      return other.id == claim.id && other.hash == claim.hash;
    });
    if (!ran[claim.command] || same == now.end()) {
      failed.push_back(claim.id);
    } else {
      KRUX_TRY(WriteChecked(root, claim));
    }
  }
  return failed;
}

std::string Table(const Claims& claims) {
  std::string text;
  for (const Claim& claim : claims) {
    text += claim.id + ": " + claim.claim + "\n    shown by " + claim.artifact +
            "\n    checked with `" + claim.command + "` on code " + claim.checked.substr(0, 16) +
            "\n";
  }
  return text;
}

}  // namespace krux::verification
