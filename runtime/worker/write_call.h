// fs.write inside the sandbox: a file gets new content, whole or not at all.
//
//   Answer answer = FsWrite(request, content, [&](const Answer& a) { WriteAnswer(context, a); });
//
// The new content goes into a file of its own in the same directory, is made durable, and then
// takes the place of the old one by rename. So a reader sees the old file or the new one, a second
// name (hard link) of the old file keeps the old content, and no existing file is ever opened for
// writing: the class's filter does not let it (sandbox/seccomp/write.rules). A worker that is
// killed before the rename leaves at most a file called `.krux-` and sixteen hex digits.
#pragma once

#include <functional>

#include "runtime/request.h"
#include "runtime/worker/answer.h"
#include "runtime/worker/content.h"

namespace krux::runtime {

inline constexpr const char* kTemporaryPrefix = ".krux-";

// Data: {"path", "mode", "before": {"existed", "bytes"?, "sha256"?}, "after"?: {"bytes",
// "sha256"}}; digests in lower-case hex. `after` is there once the file has its new content. Codes:
// kNotFound (no such directory), kBadData (a link, a directory, a pipe, …), kDenied (outside the
// scopes), kFailed (precondition, no room, no permission), always with the old file as it was.
// `about_to` gets what is to be said if this process does not live to say more: it is called right
// before the rename.
Answer FsWrite(const Request& request, const Content& content,
               const std::function<void(const Answer&)>& about_to);

}  // namespace krux::runtime
