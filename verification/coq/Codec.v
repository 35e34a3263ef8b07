(* A state as bytes (policy/kernel/encode.c), and back. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice Krux.Exposure Krux.Decide Krux.Session Krux.Delegate.
Import ListNotations.
Open Scope N_scope.

(* `width` bytes, the least significant first, and the other way round. *)
Fixpoint bytes_up (width : nat) (x : N) : list N :=
  match width with
  | O => []
  | S w => N.land x 255 :: bytes_up w (N.shiftr x 8)
  end.
Definition bytes_of (width : nat) (x : N) : list N := rev (bytes_up width x).
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

(* What a C struct can hold. *)
Definition fits_words (n : nat) (ws : list N) : Prop := length ws = n /\ Forall (fun w => w < 2 ^ 64) ws.
Definition fits_ticket (t : ticket) : Prop :=
  kind t < 2 ^ 8 /\ nonce t < 2 ^ 64 /\ expires t < 2 ^ 64 /\
  fits_words 2 (for_session t) /\ fits_words 4 (for_policy t) /\ fits_words 4 (for_digest t).
Definition fits_state (s : state) : Prop :=
  fits_policy (authority s) /\ exposure s < 2 ^ 8 /\ fits_words (length all_budget) (remaining s) /\
  calls s < 2 ^ 64 /\ fits_words 2 (session s) /\ fits_words 4 (policy_id s) /\ last_nonce s < 2 ^ 64 /\
  length (tickets s) = ticket_slots /\ Forall fits_ticket (tickets s).

(* Reading what was written *)

Lemma number_reads : forall bs acc rest,
  number (length bs) acc (bs ++ rest) = Some (fold_left (fun a b => a * 256 + b) bs acc, rest).
Proof. induction bs as [|b bs IH]; intros acc rest; simpl; auto. Qed.

Lemma length_bytes_up : forall w x, length (bytes_up w x) = w.
Proof. induction w; intros x; simpl; auto. Qed.

Lemma length_bytes_of : forall w x, length (bytes_of w x) = w.
Proof. intros. unfold bytes_of. rewrite rev_length. apply length_bytes_up. Qed.

Lemma bytes_of_value : forall w x acc, x < 2 ^ (8 * N.of_nat w) ->
  fold_left (fun a b => a * 256 + b) (bytes_of w x) acc = acc * 2 ^ (8 * N.of_nat w) + x.
Proof.
  unfold bytes_of. induction w as [|w IH]; intros x acc F.
  - simpl. change (2 ^ (8 * N.of_nat 0)) with 1 in F. simpl. lia.
  - replace (8 * N.of_nat (S w)) with (8 * N.of_nat w + 8) in * by lia.
    rewrite N.pow_add_r in *. change (2 ^ 8) with 256 in *.
    cbn [bytes_up rev]. rewrite fold_left_app. cbn [fold_left].
    rewrite N.shiftr_div_pow2. change (2 ^ 8) with 256. change 255 with (N.ones 8). rewrite N.land_ones.
    change (2 ^ 8) with 256. rewrite IH.
    + pose proof (N.div_mod x 256). lia.
    + apply N.div_lt_upper_bound; lia.
Qed.

Lemma read_bytes : forall w x rest, x < 2 ^ (8 * N.of_nat w) -> read w (bytes_of w x ++ rest) = Some (x, rest).
Proof.
  intros w x rest F. unfold read. rewrite <- (length_bytes_of w x) at 1. rewrite number_reads, bytes_of_value by exact F.
  reflexivity.
Qed.

Lemma read_words : forall n ws rest, fits_words n ws ->
  times n (read 8) (bytes_of_words ws ++ rest) = Some (ws, rest).
Proof.
  intros n ws rest [L F]. subst n. revert rest. induction F as [|w ws H F IH]; intros rest; auto.
  cbn [length times bytes_of_words flat_map]. rewrite <- app_assoc. unfold bind.
  rewrite read_bytes by exact H. fold (bytes_of_words ws). now rewrite IH.
Qed.

Ltac reads := repeat rewrite <- app_assoc; unfold bind;
  repeat (first [rewrite read_bytes by assumption | rewrite read_words by assumption]).

Lemma read_encoded_policy : forall p rest, fits_policy p -> read_policy (encode_policy p ++ rest) = Some (p, rest).
Proof.
  intros p rest (A & B & C & D & E & F & G & H). unfold read_policy, encode_policy. reads.
  now destruct p.
Qed.

Lemma read_encoded_ticket : forall t rest, fits_ticket t -> read_ticket (encode_ticket t ++ rest) = Some (t, rest).
Proof.
  intros t rest (A & B & C & D & E & F). unfold read_ticket, encode_ticket. reads. now destruct t.
Qed.

Lemma read_encoded_tickets : forall n ts rest, length ts = n -> Forall fits_ticket ts ->
  times n read_ticket (flat_map encode_ticket ts ++ rest) = Some (ts, rest).
Proof.
  intros n ts rest L F. subst n. revert rest. induction F as [|t ts H F IH]; intros rest; auto.
  cbn [length times flat_map]. rewrite <- app_assoc. unfold bind. rewrite read_encoded_ticket by assumption.
  now rewrite IH.
Qed.

Lemma decode_encode : forall s, fits_state s -> decode_state (encode_state s) = Some s.
Proof.
  intros s (A & B & C & D & E & F & G & H & I).
  unfold decode_state, read_state, encode_state. repeat rewrite <- app_assoc. unfold bind.
  rewrite read_encoded_policy by assumption. reads.
  rewrite <- (app_nil_r (flat_map encode_ticket (tickets s))), read_encoded_tickets by assumption.
  now destruct s.
Qed.

(** T22. The encoding of a state covers every field: a state can be read back from its bytes, so that two states with the same
    bytes are the same state. *)
Theorem encoding_is_injective :
  (forall s, fits_state s -> decode_state (encode_state s) = Some s) /\
  (forall s t, fits_state s -> fits_state t -> encode_state s = encode_state t -> s = t).
Proof.
  split; [exact decode_encode|]. intros s t S T E.
  apply decode_encode in S, T. rewrite E in S. congruence.
Qed.

(* Every field stays wide enough. *)

Definition fits_event (e : event) : Prop :=
  match e with
  | ECall _ c => fits_words width (cost c)
  | EAttenuate p limits id =>
    fits_policy p /\ match limits with Some l => fits_words width l | None => True end /\ fits_words 4 id
  | ECharge amounts => fits_words width amounts
  | EGrant _ t => fits_ticket t
  | EDelegate p share id pid => fits_policy p /\ fits_words width share /\ fits_words 2 id /\ fits_words 4 pid
  | ELockdown | ETaint _ | ERevoke _ => True
  end.

Lemma small_fits : forall x n m, x < 2 ^ n -> n <= m -> x < 2 ^ m.
Proof. intros x n m H L. eapply N.lt_le_trans; [exact H|]. apply N.pow_le_mono_r; lia. Qed.

Lemma mode_fits : forall b, mode_of b < 2 ^ 8.
Proof. destruct b; reflexivity. Qed.

Lemma fits_meet : forall a b, fits_policy a -> fits_policy b -> fits_policy (meet a b).
Proof.
  intros a b (A1 & A2 & A3 & A4 & A5 & A6 & A7 & A8) (B1 & B2 & B3 & B4 & B5 & B6 & B7 & B8).
  unfold fits_policy, meet; cbn [levels required_layers obligations trifecta trusted_action depth not_before not_after].
  repeat split; auto using pack_fits, lor_fits, mode_fits; lia.
Qed.

Lemma fits_reading : fits_policy reading.
Proof. repeat split; reflexivity. Qed.

Lemma fits_child : forall a p, fits_policy a -> fits_policy p -> fits_policy (child_policy a p).
Proof.
  intros a p A P. pose proof (fits_meet a p A P) as M. unfold child_policy.
  destruct (depth a <=? depth (meet a p)); auto. destruct M as (M1 & M2 & M3 & M4 & M5 & M6 & M7 & M8).
  destruct A as (_ & _ & _ & _ & _ & D & _). unfold fits_policy, with_depth; cbn [levels required_layers obligations
    trifecta trusted_action depth not_before not_after]. repeat split; auto. lia.
Qed.

Lemma fits_zip : forall f, (forall x y, f x y <= x) -> forall n a b, fits_words n a -> fits_words n (zip f a b).
Proof.
  intros f H n a b [L F]. split; [now rewrite length_zip|]. clear L. revert b.
  induction F as [|x a X F IH]; intros [|y b]; simpl; auto. constructor; auto. specialize (H x y). lia.
Qed.

Lemma fits_no_ticket : fits_ticket no_ticket.
Proof. repeat split; try reflexivity; repeat constructor. Qed.

Lemma fits_put : forall i t ts, fits_ticket t -> Forall fits_ticket ts -> Forall fits_ticket (put i t ts).
Proof. intros i t ts T F. revert i. induction F; intros [|i]; simpl; auto. Qed.

Lemma fits_begin : forall p l s i, fits_policy p -> fits_words width l -> fits_words 2 s -> fits_words 4 i ->
  fits_state (begin p l s i).
Proof.
  intros p l s i P L S I. unfold fits_state, begin; cbn [authority exposure remaining calls session policy_id last_nonce
    tickets]. repeat (split; [first [assumption | reflexivity]|]).
  apply Forall_forall. intros t T. apply repeat_spec in T as ->. apply fits_no_ticket.
Qed.

Lemma land_fits : forall a b n, b < 2 ^ n -> N.land a b < 2 ^ n.
Proof. intros a b n F. rewrite fits_bits in *. intros i L. rewrite N.land_spec, F by assumption. apply andb_false_r. Qed.

(** T22. And every number stays within its field: no event, of whatever numbers the fields of its arguments can hold, takes a
    state to one that the C struct could not hold, so that nothing wraps around. *)
Theorem every_number_fits_its_field : forall s e, fits_state s -> fits_event e ->
  fits_state (after s e) /\ forall c, snd (step s e) = Child c -> fits_state c.
Proof.
  intros s e (A & B & C & D & E & F & G & H & I) V. unfold after.
  destruct e as [now c|p limits id| |amounts|legs|now t|n|p share id pid]; cbn [step] in *.
  - unfold step_call. cbn [fst snd]. split; [|discriminate]. destruct (answer (decide s c now)).
    1, 2: repeat split; try apply A; try apply C; try apply E; try apply F; auto.
    unfold fits_state, move; cbn [authority exposure remaining calls session policy_id last_nonce tickets].
    split; auto. split. { apply lor_fits; auto. eapply small_fits; [apply contribution_small | lia]. }
    split. { apply fits_zip; auto. lia. }
    split. { destruct (N.ltb_spec (calls s) u64_max) as [L|L]; auto. change (2 ^ 64) with (N.succ u64_max). lia. }
    split; auto. split; auto. split; auto. rewrite length_take. split; auto.
    unfold take. destruct (lifted_by _); auto using fits_put, fits_no_ticket.
  - cbn [fst snd]. split; [|discriminate]. destruct V as (P & L & J).
    unfold fits_state, step_attenuate; cbn [authority exposure remaining calls session policy_id last_nonce tickets].
    split; auto using fits_meet. split; auto.
    split. { destruct limits; auto. apply fits_zip; auto. lia. }
    repeat (split; [first [assumption | now rewrite map_length]|]).
    apply Forall_map. eapply Forall_impl; [|exact I]. intros t T. unfold keep_under.
    destruct (same _ _); auto using fits_no_ticket.
  - cbn [fst snd]. split; [|discriminate]. unfold fits_state, step_lockdown, with_authority;
      cbn [authority exposure remaining calls session policy_id last_nonce tickets].
    repeat (split; [first [assumption | apply fits_meet; [assumption | apply fits_reading]]|]). exact I.
  - cbn [fst snd]. split; [|discriminate]. unfold fits_state, step_charge, with_remaining;
      cbn [authority exposure remaining calls session policy_id last_nonce tickets].
    repeat (split; [first [assumption | apply fits_zip; [lia | assumption]]|]). exact I.
  - cbn [fst snd]. split; [|discriminate]. unfold fits_state, step_taint, with_exposure;
      cbn [authority exposure remaining calls session policy_id last_nonce tickets].
    split; auto. split. { apply lor_fits; auto. now apply land_fits. }
    repeat (split; [assumption|]). exact I.
  - destruct (step_grant s t now) as [s'|] eqn:X; cbn [fst snd]; (split; [|discriminate]);
      [|unfold fits_state; auto 10].
    apply step_grant_some in X as (_ & _ & _ & _ & _ & _ & i & _ & ->).
    unfold fits_state, with_tickets; cbn [authority exposure remaining calls session policy_id last_nonce tickets].
    split; auto. split; auto. split; auto. split; auto. split; auto. split; auto. split; [apply V|].
    rewrite length_put. split; auto using fits_put.
  - destruct (step_revoke s n) as [s'|] eqn:X; cbn [fst snd]; (split; [|discriminate]);
      [|unfold fits_state; auto 10].
    apply step_revoke_some in X as (i & t & _ & _ & _ & ->).
    unfold fits_state, with_tickets; cbn [authority exposure remaining calls session policy_id last_nonce tickets].
    repeat (split; [assumption|]). rewrite length_put. split; auto using fits_put, fits_no_ticket.
  - destruct (step_delegate s p share id pid) as [[s' c']|] eqn:X; cbn [fst snd];
      [|split; [unfold fits_state; auto 10 | discriminate]].
    apply step_delegate_some in X as (_ & _ & -> & ->). destruct V as (P & S & J & K). split.
    + unfold fits_state, with_remaining; cbn [authority exposure remaining calls session policy_id last_nonce tickets].
      repeat (split; [first [assumption | apply fits_zip; [lia | assumption]]|]). exact I.
    + intros c [= <-]. pose proof (fits_begin (child_policy (authority s) p) share id pid
        (fits_child _ _ A P) S J K) as (X1 & _ & X3 & X4 & X5 & X6 & X7 & X8 & X9).
      unfold fits_state, with_exposure; cbn [authority exposure remaining calls session policy_id last_nonce tickets].
      auto 10.
Qed.
