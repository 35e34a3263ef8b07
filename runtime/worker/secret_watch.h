// SecretWatch: which paths of WORK are secret, and what comes later. The entry of a watch
// (sandbox/watch.h): it walks WORK once, puts an inotify(7) watch on every directory before it
// lists it, names what is secret, and then lives on what the kernel tells it.
//
//   krux::sandbox::RunSpawnd(argc, argv, {Serve, WatchSecrets});
//
// INVARIANT: every directory of WORK that a program can enter is watched under its path, or an
// event that says so waits in the queue. A watch is put before the list is read, events are taken
// in their order, and a directory that was moved is walked again where it came to lie.
//
// A name is judged alone: a hard link to a secret under another name is none. A symbolic link with
// the name of a secret hides what it leads to, where that lies in WORK.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sandbox/watch.h"

namespace krux::runtime {

// Of one WORK. A directory costs an inotify watch: fs.inotify.max_user_watches is 8192 and more.
inline constexpr size_t kMaxWatchedDirectories = 65'536;
inline constexpr uint64_t kMaxSeenEntries = 2'000'000;  // as of the search for setuid files
inline constexpr int kMaxDepth = 256;

// Exit status 0; ends when its channel does.
int WatchSecrets(const sandbox::WatchContext& context);

}  // namespace krux::runtime
