// Masks: an empty file or directory, read-only, over everything in WORK that is secret, in the
// mount template of a session's programs. Made by the builder of the template; who finds what to
// hide is the watch (sandbox/watch.h), which is started here and goes on when the template stands.
//
//   KRUX_TRY(MakeMasks(kBuildPath));                            // before the root becomes
//   read-only Hidden hidden = KRUX_TRY(HideSecrets(spec, "/home/ann/project", {entry, abi, uid}));
#pragma once

#include <string>

#include "base/channel.h"
#include "base/unique_fd.h"
#include "sandbox/spec.h"
#include "sandbox/watch.h"

namespace krux::sandbox {

inline constexpr const char* kMaskFile = "/.krux-mask";
inline constexpr const char* kMaskDirectory = "/.krux-mask.d";

struct WatchPlan {
  WatchEntry entry = nullptr;
  int landlock_abi = 0;
  bool rootless = false;
  bool leave_one_out = false;  // test build only: the first secret stays as it is
};

struct Hidden {
  uint64_t masks = 0;
  // Armed. The watch is a child of krux-spawnd's, which cannot signal it, being another user
  // without CAP_KILL: it ends when this does.
  Channel watch;
};

// What the masks are made of, below the root at `root`.
Result<void> MakeMasks(const std::string& root);

// In the builder, once the template is its root. Starts the watch, hides what it finds until it
// finds nothing more, arms it. Errors are worded for whoever called: what cannot be hidden or
// watched means that no program runs.
Result<Hidden> HideSecrets(const TemplateSpec& spec, const std::string& work_path,
                           const WatchPlan& plan);

}  // namespace krux::sandbox
