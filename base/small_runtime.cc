// The two places where libstdc++ would say at length why it gives up. Their words need its
// demangler and its debug printer, 64 KiB that a tiny program keeps mapped to say what nobody
// reads: the supervisor sees SIGABRT either way. Linked into the static programs only; an archive's
// member is not taken where its symbols are there already.
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace {

[[noreturn]] void GiveUp(const char* line) {
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line, std::strlen(line));
  std::abort();
}

}  // namespace

namespace std {
// _GLIBCXX_ASSERTIONS: an index out of range and the like.
[[noreturn]] void __glibcxx_assert_fail(const char*, int, const char* function,  // NOLINT
                                        const char*) noexcept {
  GiveUp(function != nullptr ? function : "assertion failed");
}
}  // namespace std

namespace __gnu_cxx {
// An exception that nobody caught.
[[noreturn]] void __verbose_terminate_handler() { GiveUp("unhandled exception\n"); }  // NOLINT
}  // namespace __gnu_cxx
