#include "runtime/write_risk.h"

#include <algorithm>

#include "base/path.h"

namespace krux::runtime {
namespace {

// Everything below a directory of this name.
constexpr std::string_view kDirectories[] = {
    // version control: hooks, and settings that name programs
    ".git", ".hg", ".svn", ".husky",
    // continuous integration
    ".github", ".gitlab", ".circleci", ".buildkite",
    // what editors and agents obey
    ".vscode", ".idea", ".devcontainer", ".cursor", ".claude", ".codex", ".gemini",
    // logins
    ".ssh"};

// A file or directory of this name, wherever it lies.
constexpr std::string_view kNames[] = {
    // continuous integration
    ".gitlab-ci.yml", ".travis.yml", "azure-pipelines.yml", "bitbucket-pipelines.yml",
    "Jenkinsfile", ".drone.yml", ".pre-commit-config.yaml",
    // build files that a plain `make` or `npm install` runs
    "Makefile", "GNUmakefile", "package.json",
    // shells and what loads settings when a directory is entered
    ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".profile", ".zshrc", ".zshenv",
    ".zprofile", ".zlogin", ".envrc", ".npmrc", ".gitconfig", ".gitattributes", ".gitmodules",
    // instructions to agents
    "AGENTS.md", "CLAUDE.md", "GEMINI.md", "copilot-instructions.md", ".cursorrules",
    ".windsurfrules", ".mcp.json"};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool Same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return Lower(x) == Lower(y); });
}

bool Listed(std::string_view name) {
  const auto same = [&](std::string_view listed) { return Same(name, listed); };
  return std::ranges::any_of(kDirectories, same) || std::ranges::any_of(kNames, same);
}

}  // namespace

policy::Risk WriteRisk(std::string_view path, std::string_view work) {
  if (krux_path_within(work.data(), work.size(), path.data(), path.size()))
    path.remove_prefix(work.size());
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (Listed(path.substr(at, end - at))) return policy::Risk::kElevated;
    at = end + 1;
  }
  return policy::Risk::kLow;
}

}  // namespace krux::runtime
