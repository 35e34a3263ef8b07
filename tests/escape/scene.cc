#include "tests/escape/scene.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace krux::sandbox {
namespace {

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string Describe(const struct stat& st) {
  std::ostringstream out;
  out << std::oct << st.st_mode << std::dec << " " << st.st_uid << ":" << st.st_gid << " inode "
      << st.st_ino << " links " << st.st_nlink;
  return out.str();
}

}  // namespace

Scene::Scene(uint32_t caller, uint32_t outer, const std::string& program)
    : caller_(caller), outer_(outer), program_(program), work_(caller), outside_(caller) {
  if (!program.empty())
    work_.Write(program, Slurp(std::string(KRUX_ESCAPE_PROGRAMS) + "/escape_" + program), 0755);
  outside_.Write("secret", "what the host keeps to itself\n", 0666);
}

Scene::~Scene() {
  for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) (*undo)();
}

std::vector<std::string> Scene::Command() const {
  std::vector<std::string> command = {program_path()};
  command.insert(command.end(), args_.begin(), args_.end());
  return command;
}

int Scene::Keep(UniqueFd fd) {
  fds_.push_back(std::move(fd));
  return fds_.back().get();
}

Scene::Listing Scene::Special() const {
  Listing special;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(work_.path())) {
    struct stat st{};
    if (lstat(entry.path().c_str(), &st) != 0) continue;
    const bool plain = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode);
    const bool linked = S_ISREG(st.st_mode) && st.st_nlink > 1;
    if (!plain || linked || (st.st_mode & (S_ISUID | S_ISGID)) != 0)
      special[entry.path()] = Describe(st);
  }
  return special;
}

Scene::Listing Scene::Outside() const {
  Listing outside;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(outside_.path())) {
    struct stat st{};
    if (lstat(entry.path().c_str(), &st) != 0) continue;
    outside[entry.path()] = Describe(st) + (S_ISREG(st.st_mode) ? " " + Slurp(entry.path()) : "");
  }
  struct stat st{};
  if (lstat(work_.path().c_str(), &st) == 0) outside[work_.path()] = Describe(st);
  // A program of the host that several cases reach for.
  if (stat("/usr/bin/env", &st) == 0) outside["/usr/bin/env"] = Describe(st);
  outside["above WORK"] =
      access((work_.path() + "/../krux-escape-renamed").c_str(), F_OK) == 0 ? "more" : "as it was";
  return outside;
}

std::vector<pid_t> Scene::Processes() const {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (Slurp(entry.path() / "cmdline").find(program_path()) == 0) found.push_back(std::stoi(name));
  }
  return found;
}

void Scene::Remember() {
  special_ = Special();
  outside_before_ = Outside();
}

void Scene::CheckOutside() const {
  for (const std::function<void()>& check : checks_) check();
  EXPECT_EQ(Processes(), std::vector<pid_t>{}) << "processes outlived the call";
  EXPECT_EQ(Special(), special_)
      << "setuid files, devices, pipes, sockets or links have appeared in WORK";
  Listing after = Outside();
  // WORK's own times and size may change, and its link count with the directories in it.
  after[work_.path()] = outside_before_.at(work_.path());
  EXPECT_EQ(after, outside_before_) << "what lies outside of WORK has changed";
}

}  // namespace krux::sandbox
