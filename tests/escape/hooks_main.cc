// krux-spawnd-hooks: krux-spawnd as it ships, built so that parts of a sandbox can be left out, and
// with a worker that can be told to misbehave. Only the tests start it.

#include "runtime/worker/secret_watch.h"
#include "sandbox/spawnd.h"
#include "tests/escape/misbehaving_worker.h"

int main(int argc, char** argv) {
  return krux::sandbox::RunSpawnd(argc, argv,
                                  {krux::sandbox::ServeOrMisbehave, krux::runtime::WatchSecrets});
}
