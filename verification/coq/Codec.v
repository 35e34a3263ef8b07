(* A state as bytes (policy/kernel/encode.c), and back. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice Krux.Exposure Krux.Decide.
Import ListNotations.
Open Scope N_scope.

(* `width` bytes, the most significant first. *)
Fixpoint bytes_of (width : nat) (x : N) : list N :=
  match width with
  | O => []
  | S w => N.land (N.shiftr x (8 * N.of_nat w)) 255 :: bytes_of w x
  end.
Definition bytes_of_words (ws : list N) : list N := flat_map (bytes_of 8) ws.

Definition encode_policy (p : policy) : list N :=
  bytes_of 4 (levels p) ++ bytes_of 4 (required_layers p) ++ bytes_of 2 (obligations p)
  ++ bytes_of 1 (trifecta p) ++ bytes_of 1 (trusted_action p) ++ bytes_of 1 (depth p)
  ++ bytes_of 8 (not_before p) ++ bytes_of 8 (not_after p).
Definition encode_ticket (t : ticket) : list N :=
  bytes_of 1 (kind t) ++ bytes_of 8 (nonce t) ++ bytes_of 8 (expires t)
  ++ bytes_of_words (for_session t) ++ bytes_of_words (for_policy t) ++ bytes_of_words (for_digest t).

(* krux_encode_state *)
Definition encode_state (s : state) : list N :=
  encode_policy (authority s) ++ bytes_of 1 (exposure s) ++ bytes_of_words (remaining s)
  ++ bytes_of 8 (calls s) ++ bytes_of_words (session s) ++ bytes_of_words (policy_id s)
  ++ bytes_of 8 (last_nonce s) ++ flat_map encode_ticket (tickets s).

(* Reading back: a value and the bytes behind it. *)
Definition reader (A : Set) : Set := list N -> option (A * list N).
Definition ret {A : Set} (x : A) : reader A := fun bs => Some (x, bs).
Definition bind {A B : Set} (r : reader A) (f : A -> reader B) : reader B :=
  fun bs => match r bs with Some (x, rest) => f x rest | None => None end.
Notation "x <- r ;; k" := (bind r (fun x => k)) (at level 61, r at next level, right associativity).

Fixpoint number (width : nat) (so_far : N) : reader N :=
  match width with
  | O => ret so_far
  | S w => fun bs => match bs with b :: rest => number w (so_far * 256 + b) rest | [] => None end
  end.
Definition read (width : nat) : reader N := number width 0.
Fixpoint times {A : Set} (n : nat) (r : reader A) : reader (list A) :=
  match n with
  | O => ret []
  | S m => x <- r ;; xs <- times m r ;; ret (x :: xs)
  end.

Definition read_policy : reader policy :=
  l <- read 4 ;; r <- read 4 ;; o <- read 2 ;; g <- read 1 ;; t <- read 1 ;; d <- read 1 ;;
  b <- read 8 ;; a <- read 8 ;; ret (Policy l r o g t d b a).
Definition read_ticket : reader ticket :=
  k <- read 1 ;; n <- read 8 ;; e <- read 8 ;;
  s <- times 2 (read 8) ;; p <- times 4 (read 8) ;; d <- times 4 (read 8) ;; ret (Ticket k n e s p d).
Definition read_state : reader state :=
  p <- read_policy ;; e <- read 1 ;; r <- times (length all_budget) (read 8) ;; c <- read 8 ;;
  s <- times 2 (read 8) ;; i <- times 4 (read 8) ;; n <- read 8 ;; ts <- times ticket_slots read_ticket ;;
  ret (State p e r c s i n ts).
Definition decode_state (bs : list N) : option state :=
  match read_state bs with Some (s, []) => Some s | _ => None end.
