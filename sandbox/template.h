// Template: the mount tree that every call of one session, class and generation starts from. An
// empty root, the granted trees at their host paths, and for programs the furniture of a small
// system. A call's own mount namespace is a copy of it, so that building a root costs nothing per
// call.
//
//   TemplateBuilder builder = KRUX_TRY(TemplateBuilder::Start(spec, work_path, mounts, fds,
//   watch)); … poll builder.fd() … Template t = KRUX_TRY(builder.Finish(proc_fd));
//   setns(t.mount_ns.get(), CLONE_NEWNS);   // then clone3
#pragma once

#include <string>
#include <vector>

#include "base/channel.h"
#include "base/pidfd.h"
#include "base/unique_fd.h"
#include "sandbox/masks.h"
#include "sandbox/mount_wire.h"
#include "sandbox/spec.h"

namespace krux::sandbox {

// A file of the root that no call is ever granted: if it opens, Landlock is not there.
inline constexpr const char* kCanaryPath = "/.krux-canary";
// Where spawnd's own root keeps the place to build in.
inline constexpr const char* kBuildPath = "/t";
// Device nodes of the exec template, from mountd.
inline constexpr const char* kDeviceNodes[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                               "/dev/urandom"};

struct Template {
  TemplateSpec spec;
  std::string work_path;
  std::string disk;       // under WORK, for io.max; may be empty
  std::string idmap;      // "swap", "none" or "child"
  bool has_proc = false;  // a program can have a /proc of its own
  UniqueFd mount_ns;
  std::vector<std::string> mounts;  // NormaliseMountinfo of the tree as built
  std::vector<std::string> absent;  // program trees the host does not have
  uint64_t tag = 0;                 // of the BuildTemplate that it came from
  uint64_t masks = 0;               // over what is secret in WORK, among `mounts`
  Channel watch;                    // armed; not valid where the policy names no secret, and moved
  uint64_t watch_id = 0;            // to Watches, under this name; 0: none
};

// The trees to ask mountd for: the profile's, and for programs the device nodes.
std::vector<std::string> TreesToRequest(const TemplateSpec& spec);

// A child that builds one template. It runs beside spawnd's loop: the scan of a large writable WORK
// for setuid files takes its time, and other sessions go on meanwhile. Gone with its object.
class TemplateBuilder {
 public:
  // `fds` as mountwire::Mounts carries them.
  static Result<TemplateBuilder> Start(const TemplateSpec& spec, const std::string& work_path,
                                       const mountwire::Mounts& mounts, std::vector<UniqueFd> fds,
                                       const WatchPlan& watch);
  TemplateBuilder(TemplateBuilder&&) noexcept = default;
  TemplateBuilder& operator=(TemplateBuilder&&) = delete;
  ~TemplateBuilder();

  int fd() const { return answer_.fd(); }  // readable when there is something to finish
  uint64_t deadline_ns() const { return deadline_ns_; }
  uint64_t tag() const { return tag_; }
  pid_t pid() const { return pid_; }
  // Call once, when fd() is readable or the deadline has passed. `proc_fd`: spawnd's own proc
  // mount.
  Result<Template> Finish(int proc_fd);

 private:
  TemplateBuilder() = default;
  uint64_t tag_ = 0;
  uint64_t deadline_ns_ = 0;
  pid_t pid_ = -1;
  Pidfd pidfd_;
  Channel answer_;
  Template made_;
};

// Path rules that the furniture of the class needs besides the call's own.
std::vector<PathRule> FurnitureRules(WorkClass work_class, bool has_proc);

// mountinfo without what differs between copies (mount ids, peer groups): "point type options
// root", of a call's own /proc and /tmp also what bounds them ("hidepid=", "subset=", "size=",
// "nr_inodes="); sorted. proc_pid_mountinfo(5).
std::vector<std::string> NormaliseMountinfo(const std::string& mountinfo);
// A path as it stands there: space, tab, newline and backslash in octal.
std::string AsInMountinfo(const std::string& path);

}  // namespace krux::sandbox
