(* Events: policy/kernel/step.c. One session moves by them, whatever their order. *)
Require Import Arith NArith List Bool Lia Permutation.
Require Import Krux.Tables Krux.Lattice Krux.Exposure Krux.Decide.
Import ListNotations.
Open Scope N_scope.

Definition words (n : nat) : list N := repeat 0 n.
Definition no_ticket : ticket :=
  {| kind := 0; nonce := 0; expires := 0; for_session := words 2; for_policy := words 4; for_digest := words 4 |}.

Fixpoint zip (f : N -> N -> N) (a b : list N) : list N :=
  match a, b with
  | x :: a', y :: b' => f x y :: zip f a' b'
  | _, _ => a
  end.

Fixpoint put {A : Set} (i : nat) (x : A) (slots : list A) : list A :=
  match slots, i with
  | [], _ => []
  | _ :: rest, O => x :: rest
  | y :: rest, S j => y :: put j x rest
  end.

(* krux_state_begin *)
Definition begin (p : policy) (limits session policy_id : list N) : state :=
  {| authority := p; exposure := 0; remaining := limits; calls := 0; session := session;
     policy_id := policy_id; last_nonce := 0; tickets := repeat no_ticket ticket_slots |}.

(* krux_step_call, once it is decided *)
Definition take (slot : nat) (ts : list ticket) : list ticket :=
  match slot with O => ts | S i => put i no_ticket ts end.
Definition move (s : state) (c : call) (d : decision) : state :=
  {| authority := authority s;
     exposure := N.lor (exposure s) (adds d);
     remaining := zip N.sub (remaining s) (cost c);
     calls := if calls s <? u64_max then calls s + 1 else calls s;
     session := session s; policy_id := policy_id s; last_nonce := last_nonce s;
     tickets := take (lifted_by d) (tickets s) |}.
Definition step_call (s : state) (c : call) (now : N) : state * decision :=
  let d := decide s c now in
  (match answer d with V_ALLOW => move s c d | _ => s end, d).

(* krux_step_attenuate *)
Definition keep_under (id : list N) (t : ticket) : ticket := if same (for_policy t) id then t else no_ticket.
Definition step_attenuate (s : state) (p : policy) (limits : option (list N)) (id : list N) : state :=
  {| authority := meet (authority s) p;
     exposure := exposure s;
     remaining := match limits with Some l => zip N.min (remaining s) l | None => remaining s end;
     calls := calls s; session := session s; policy_id := id; last_nonce := last_nonce s;
     tickets := map (keep_under id) (tickets s) |}.

(* krux_step_lockdown *)
Definition reading : policy :=
  {| levels := pack lockdown_level; required_layers := required_layers top; obligations := obligations top;
     trifecta := trifecta top; trusted_action := trusted_action top; depth := 0;
     not_before := not_before top; not_after := not_after top |}.
Definition step_lockdown (s : state) : state := with_authority s (meet (authority s) reading).

(* krux_step_charge, krux_step_taint *)
Definition step_charge (s : state) (amounts : list N) : state :=
  with_remaining s (zip N.sub (remaining s) amounts).
Definition step_taint (s : state) (legs : N) : state :=
  with_exposure s (N.lor (exposure s) (N.land legs all_legs)).

(* krux_step_grant *)
Definition is_dead (s : state) (now : N) (t : ticket) : bool :=
  (kind t =? 0) || (expires t <=? now) || negb (same (for_policy t) (policy_id s)).
Definition step_grant (s : state) (t : ticket) (now : N) : option state :=
  if (N.of_nat (length all_ticket_kind) <=? kind t) || is_dead s now t then None
  else if negb (same (for_session t) (session s)) then None
  else if nonce t <=? last_nonce s then None
  else match first (is_dead s now) (tickets s) with
       | Some i => Some (with_tickets s (nonce t) (put i t (tickets s)))
       | None => None
       end.

(* krux_step_revoke *)
Definition has_nonce (n : N) (t : ticket) : bool := negb (kind t =? 0) && (nonce t =? n).
Definition step_revoke (s : state) (n : N) : option state :=
  match first (has_nonce n) (tickets s) with
  | Some i => Some (with_tickets s (last_nonce s) (put i no_ticket (tickets s)))
  | None => None
  end.

(* krux_step_delegate: what is left of the parent, and the child *)
Definition with_depth (p : policy) (n : N) : policy :=
  {| levels := levels p; required_layers := required_layers p; obligations := obligations p;
     trifecta := trifecta p; trusted_action := trusted_action p; depth := n;
     not_before := not_before p; not_after := not_after p |}.
Definition child_policy (parent p : policy) : policy :=
  let m := meet parent p in
  if depth parent <=? depth m then with_depth m (depth parent - 1) else m.
Definition step_delegate (s : state) (p : policy) (share id policy_id : list N) : option (state * state) :=
  if depth (authority s) =? 0 then None
  else if negb (all_le share (remaining s)) then None
  else Some (with_remaining s (zip N.sub (remaining s) share),
             with_exposure (begin (child_policy (authority s) p) share id policy_id) (exposure s)).

(* One event of a session, and what the caller is told. *)
Inductive event : Set :=
| ECall (now : N) (c : call)
| EAttenuate (p : policy) (limits : option (list N)) (id : list N)
| ELockdown
| ECharge (amounts : list N)
| ETaint (legs : N)
| EGrant (now : N) (t : ticket)
| ERevoke (n : N)
| EDelegate (p : policy) (share id policy_id : list N).

Inductive outcome : Set :=
| Decided (d : decision)
| Done
| Refused
| Child (child : state).

Definition step (s : state) (e : event) : state * outcome :=
  match e with
  | ECall now c => let (s', d) := step_call s c now in (s', Decided d)
  | EAttenuate p limits id => (step_attenuate s p limits id, Done)
  | ELockdown => (step_lockdown s, Done)
  | ECharge amounts => (step_charge s amounts, Done)
  | ETaint legs => (step_taint s legs, Done)
  | EGrant now t => match step_grant s t now with Some s' => (s', Done) | None => (s, Refused) end
  | ERevoke n => match step_revoke s n with Some s' => (s', Done) | None => (s, Refused) end
  | EDelegate p share id policy_id =>
    match step_delegate s p share id policy_id with
    | Some (s', child) => (s', Child child)
    | None => (s, Refused)
    end
  end.

(* A run: events one after the other. *)
Definition after (s : state) (e : event) : state := fst (step s e).
Fixpoint run (s : state) (es : list event) : state :=
  match es with [] => s | e :: rest => run (after s e) rest end.

(* What is written down of each event: the state it met, and what the caller was told. *)
Record moment : Set := Moment { before : state; what : event; told : outcome }.
Fixpoint history (s : state) (es : list event) : list moment :=
  match es with
  | [] => []
  | e :: rest => Moment s e (snd (step s e)) :: history (after s e) rest
  end.
Definition at_ (s : state) (es : list event) (i : nat) (m : moment) : Prop := nth_error (history s es) i = Some m.

Lemma history_at : forall es s i m, at_ s es i m ->
  nth_error es i = Some (what m) /\ before m = run s (firstn i es) /\ told m = snd (step (before m) (what m)).
Proof.
  unfold at_. induction es as [|e es IH]; intros s i m H; [destruct i; discriminate|].
  destruct i as [|i]; simpl in *.
  - injection H as <-. auto.
  - now apply IH.
Qed.

Lemma run_app : forall es s fs, run s (es ++ fs) = run (run s es) fs.
Proof. induction es; simpl; auto. Qed.

Lemma firstn_next : forall (es : list event) i e, nth_error es i = Some e -> firstn (S i) es = firstn i es ++ [e].
Proof.
  induction es as [|x es IH]; intros i e H; [destruct i; discriminate|].
  destruct i as [|i]; simpl in *; [now injection H as <-|]. f_equal. now apply IH.
Qed.

Lemma run_next : forall s es i m, at_ s es i m -> run s (firstn (S i) es) = after (before m) (what m).
Proof.
  intros s es i m H. apply history_at in H as (E & B & _).
  rewrite (firstn_next _ _ _ E), run_app, B. reflexivity.
Qed.

(* A property that every event keeps holds from any moment on. *)
Lemma kept : forall (P : state -> Prop), (forall s e, P s -> P (after s e)) ->
  forall es s, P s -> P (run s es).
Proof. induction es; simpl; auto. Qed.

Lemma firstn_split : forall (es : list event) i j, (i <= j)%nat ->
  exists fs, firstn j es = firstn i es ++ fs.
Proof.
  intros es i j H. exists (firstn (j - i) (skipn i es)).
  rewrite <- (firstn_skipn i (firstn j es)) at 1. rewrite firstn_firstn, Nat.min_l by assumption.
  f_equal. now rewrite skipn_firstn_comm.
Qed.

Lemma kept_between : forall (P : state -> Prop), (forall s e, P s -> P (after s e)) ->
  forall s es i j, (i <= j)%nat -> P (run s (firstn i es)) -> P (run s (firstn j es)).
Proof.
  intros P K s es i j L H. destruct (firstn_split es i j L) as [fs ->]. rewrite run_app. now apply kept.
Qed.

(* T16 *)

Definition amounts_le (a b : list N) : Prop := forall i, nth i a 0 <= nth i b 0.

Record ratchet (s s' : state) : Prop := Ratchet {
  authority_falls : authority s' <<= authority s;
  exposure_grows : bits_le (exposure s) (exposure s');
  remaining_falls : amounts_le (remaining s') (remaining s);
  nonce_grows : last_nonce s <= last_nonce s';
  calls_grow : calls s <= calls s';
  session_stays : session s' = session s;
  slots_stay : length (tickets s') = length (tickets s);
}.

Lemma amounts_le_refl : forall a, amounts_le a a.
Proof. intros a i. lia. Qed.

Lemma zip_le : forall f, (forall x y, f x y <= x) -> forall a b, amounts_le (zip f a b) a.
Proof.
  intros f F. unfold amounts_le. induction a as [|x a IH]; intros [|y b] i; simpl; try lia; destruct i; simpl; auto; lia.
Qed.

Lemma length_zip : forall f a b, length (zip f a b) = length a.
Proof. induction a; intros [|y b]; simpl; auto. Qed.

Lemma length_put : forall (A : Set) (x : A) l i, length (put i x l) = length l.
Proof. induction l; intros [|i]; simpl; auto. Qed.

Lemma length_take : forall slot ts, length (take slot ts) = length ts.
Proof. intros [|i] ts; simpl; auto using length_put. Qed.

Lemma bits_le_lor : forall a b, bits_le a (N.lor a b).
Proof. intros a b i H. now rewrite N.lor_spec, H. Qed.
Lemma bits_le_refl : forall a, bits_le a a.
Proof. intros a i H. exact H. Qed.

Lemma ratchet_refl : forall s, ratchet s s.
Proof. constructor; auto using le_refl, bits_le_refl, amounts_le_refl; lia. Qed.

Lemma ratchet_trans : forall a b c, ratchet a b -> ratchet b c -> ratchet a c.
Proof.
  intros a b c [A1 A2 A3 A4 A5 A6 A7] [B1 B2 B3 B4 B5 B6 B7]. constructor.
  - eapply le_trans; eassumption.
  - eapply bits_le_trans; eassumption.
  - intros i. specialize (A3 i). specialize (B3 i). lia.
  - lia.
  - lia.
  - congruence.
  - congruence.
Qed.

Lemma step_grant_some : forall s t now s', step_grant s t now = Some s' ->
  kind t <> 0 /\ kind t < N.of_nat (length all_ticket_kind) /\ now < expires t /\
  same (for_policy t) (policy_id s) = true /\ same (for_session t) (session s) = true /\
  last_nonce s < nonce t /\
  exists i, first (is_dead s now) (tickets s) = Some i /\ s' = with_tickets s (nonce t) (put i t (tickets s)).
Proof.
  intros s t now s' H. unfold step_grant in H.
  destruct (N.of_nat (length all_ticket_kind) <=? kind t) eqn:K; [discriminate|]. simpl in H.
  destruct (is_dead s now t) eqn:D; [discriminate|].
  destruct (same (for_session t) (session s)) eqn:S; [|discriminate]. simpl in H.
  destruct (nonce t <=? last_nonce s) eqn:L; [discriminate|].
  destruct (first (is_dead s now) (tickets s)) as [i|] eqn:F; [|discriminate]. injection H as <-.
  unfold is_dead in D. apply orb_false_iff in D as [D P]. apply orb_false_iff in D as [Z X].
  apply N.eqb_neq in Z. apply N.leb_gt in K, X, L. apply negb_false_iff in P.
  repeat split; auto. eauto.
Qed.

Lemma step_revoke_some : forall s n s', step_revoke s n = Some s' ->
  exists i t, nth_error (tickets s) i = Some t /\ kind t <> 0 /\ nonce t = n /\
    s' = with_tickets s (last_nonce s) (put i no_ticket (tickets s)).
Proof.
  intros s n s' H. unfold step_revoke in H.
  destruct (first (has_nonce n) (tickets s)) as [i|] eqn:F; [|discriminate]. injection H as <-.
  apply first_some in F as (t & A & B). unfold has_nonce in B. apply andb_true_iff in B as [P Q].
  apply negb_true_iff, N.eqb_neq in P. apply N.eqb_eq in Q. exists i, t. auto.
Qed.

Lemma step_delegate_some : forall s p share id pid s' child, step_delegate s p share id pid = Some (s', child) ->
  depth (authority s) <> 0 /\ all_le share (remaining s) = true /\
  s' = with_remaining s (zip N.sub (remaining s) share) /\
  child = with_exposure (begin (child_policy (authority s) p) share id pid) (exposure s).
Proof.
  intros s p share id pid s' child H. unfold step_delegate in H.
  destruct (N.eqb_spec (depth (authority s)) 0) as [Z|Z]; [discriminate|].
  destruct (all_le share (remaining s)) eqn:A; [|discriminate]. simpl in H. now injection H as <- <-.
Qed.

Lemma after_ratchet : forall s e, ratchet s (after s e).
Proof.
  intros s e. unfold after, step. destruct e as [now c|p limits id| |amounts|legs|now t|n|p share id pid].
  - unfold step_call. cbn [fst]. destruct (answer (decide s c now)); auto using ratchet_refl.
    constructor; simpl; auto using le_refl, bits_le_lor, length_take; try lia.
    + apply zip_le. lia.
    + destruct (calls s <? u64_max); lia.
  - simpl. constructor; simpl; auto using meet_le_l, bits_le_refl, map_length; try lia.
    destruct limits; [apply zip_le; lia | apply amounts_le_refl].
  - simpl. constructor; simpl; auto using meet_le_l, bits_le_refl, amounts_le_refl; lia.
  - simpl. constructor; simpl; auto using le_refl, bits_le_refl; try lia. apply zip_le. lia.
  - simpl. constructor; simpl; auto using le_refl, bits_le_lor, amounts_le_refl; lia.
  - destruct (step_grant s t now) as [s'|] eqn:G; simpl; auto using ratchet_refl.
    apply step_grant_some in G as (_ & _ & _ & _ & _ & L & i & _ & ->).
    constructor; simpl; auto using le_refl, bits_le_refl, amounts_le_refl, length_put; lia.
  - destruct (step_revoke s n) as [s'|] eqn:R; simpl; auto using ratchet_refl.
    apply step_revoke_some in R as (i & t & _ & _ & _ & ->).
    constructor; simpl; auto using le_refl, bits_le_refl, amounts_le_refl, length_put; lia.
  - destruct (step_delegate s p share id pid) as [[s' child]|] eqn:D; simpl; auto using ratchet_refl.
    apply step_delegate_some in D as (_ & _ & -> & _).
    constructor; simpl; auto using le_refl, bits_le_refl; try lia. apply zip_le. lia.
Qed.

(** T16. Over every sequence of events authority only falls, exposure only grows, what remains of each budget only falls,
    and nonces only rise. *)
Theorem every_run_is_a_ratchet : forall es s, ratchet s (run s es).
Proof.
  induction es as [|e es IH]; intros s; simpl; [apply ratchet_refl|].
  eapply ratchet_trans; [apply after_ratchet | apply IH].
Qed.

(** T11. No run, however long, clears a leg of exposure. *)
Theorem no_leg_clears : forall es s l, has (exposure s) l = true -> has (exposure (run s es)) l = true.
Proof. intros es s l H. apply (exposure_grows _ _ (every_run_is_a_ratchet es s)). exact H. Qed.

(** T12. What is recorded is what was gated: an allowed call adds its contribution, all of it and nothing else, and the gate
    spoke about the exposure that the session has afterwards. *)
Theorem recorded_is_gated : forall s c now, let d := decide s c now in
  adds d = contribution c /\
  (answer d = V_ALLOW -> exposure (fst (step_call s c now)) = N.lor (exposure s) (contribution c)) /\
  (answer d <> V_ALLOW -> fst (step_call s c now) = s) /\
  (answer d = V_ALLOW -> (part s c now C_GATE <> V_ALLOW <->
     has (contribution c) E_EXFIL = true /\ endorsed c = false /\
     full (exposure (fst (step_call s c now))) = true)).
Proof.
  intros s c now d. unfold step_call. fold d. cbn [fst]. split; [reflexivity|]. split; [|split].
  - intros ->. reflexivity.
  - destruct (answer d); congruence.
  - intros ->. cbn [part move exposure]. change (adds d) with (contribution c). unfold of_gate.
    rewrite N.ldiff_0_r. destruct (has (contribution c) E_EXFIL), (endorsed c); cbn [negb orb];
      try (split; [congruence | intros (? & ? & ?); discriminate]).
    destruct (full _); [|split; [congruence | intros (? & ? & ?); discriminate]].
    unfold guard. destruct (asks _); split; auto; discriminate.
Qed.

(* T13 to T15 *)

Definition allowed_call (m : moment) (now : N) (c : call) (d : decision) : Prop :=
  what m = ECall now c /\ told m = Decided d /\ answer d = V_ALLOW.

Lemma allowed_call_after : forall s es i m now c d, at_ s es i m -> allowed_call m now c d ->
  d = decide (before m) c now /\ after (before m) (what m) = move (before m) c d.
Proof.
  intros s es i m now c d H (W & T & A). apply history_at in H as (_ & _ & E). rewrite W in E.
  rewrite T in E. cbn in E. injection E as E. split; [exact E|]. rewrite W. unfold after. cbn.
  rewrite <- E, A. reflexivity.
Qed.

(* The session met leg `l` before moment `i`: it began with it, or an allowed call or a late label brought it. *)
Definition met (s : state) (es : list event) (i : nat) (l : leg) : Prop :=
  has (exposure s) l = true \/
  exists j m, (j < i)%nat /\ at_ s es j m /\
    ((exists now c d, allowed_call m now c d /\ has (contribution c) l = true) \/
     (exists legs, what m = ETaint legs /\ has legs l = true)).

Lemma has_lor : forall a b l, has (N.lor a b) l = has a l || has b l.
Proof. intros. apply N.lor_spec. Qed.

Lemma has_land : forall a b l, has (N.land a b) l = has a l && has b l.
Proof. intros. apply N.land_spec. Qed.

Lemma all_legs_has : forall l, has all_legs l = true.
Proof. destruct l; reflexivity. Qed.

Lemma met_exposed : forall s es i l, met s es i l -> has (exposure (run s (firstn i es))) l = true.
Proof.
  intros s es i l [H|(j & m & L & M & H)]; [now apply no_leg_clears|].
  assert (K : has (exposure (run s (firstn (S j) es))) l = true).
  { rewrite (run_next _ _ _ _ M). destruct H as [(now & c & d & A & H)|(legs & W & H)].
    - destruct (allowed_call_after _ _ _ _ _ _ _ M A) as [-> ->]. cbn [move exposure].
      rewrite has_lor. change (adds _) with (contribution c). rewrite H. apply orb_true_r.
    - rewrite W. cbn [after step fst step_taint with_exposure exposure].
      rewrite has_lor, has_land, H, all_legs_has. apply orb_true_r. }
  refine (kept_between (fun s => has (exposure s) l = true) _ _ _ (S j) i _ K); [|lia].
  intros s0 e. apply (no_leg_clears [e]).
Qed.

(* The ticket of slot `lifted_by` lifted the call. *)
Definition used (m : moment) (t : ticket) : Prop :=
  exists now c d slot, allowed_call m now c d /\ lifted_by d = S slot /\
    nth_error (tickets (before m)) slot = Some t /\ lifts t (before m) c now = true.

Lemma not_all_parts : forall s es i m now c d k, at_ s es i m -> allowed_call m now c d ->
  part (before m) c now k <> V_ALLOW -> exists t, used m t /\ lifts t (before m) c now = true.
Proof.
  intros s es i m now c d k M A P. destruct (allowed_call_after _ _ _ _ _ _ _ M A) as [E _].
  destruct (allow_iff_all_parts (before m) c now) as [[F _] _].
  destruct A as (W & T & V). rewrite E in V. destruct (F V) as [Q|(_ & slot & t & L & N & K)]; [now destruct (P (Q k))|].
  exists t. split; auto. exists now, c, d, slot. rewrite E. unfold allowed_call. rewrite <- E at 1. auto.
Qed.

(* A ticket lifts only the call it was given for. *)
Lemma lifts_for : forall t s c now, lifts t s c now = true ->
  kind t <> 0 /\ now < expires t /\ same (for_session t) (session s) = true /\
  same (for_policy t) (policy_id s) = true /\ same (for_digest t) (digest c) = true.
Proof.
  intros t s c now H. unfold lifts in H.
  assert (K : kind t <> 0). { intros Z. unfold kind_of in H. rewrite Z in H. discriminate. }
  assert (F : is_for t s c now = true).
  { destruct (kind_of t) as [[]|]; try discriminate; auto; now apply andb_true_iff in H. }
  unfold is_for in F. rewrite !andb_true_iff in F. destruct F as (((X & S) & P) & D).
  apply N.ltb_lt in X. auto.
Qed.

(** T13. Trifecta safety over whole runs, from any state: where private data and untrusted content have met before or with
    the call, a way out is taken only if the operator named its arguments or a ticket for this very call, session and
    policy lifted it. *)
Theorem trifecta_safety : forall s es i m now c d, at_ s es i m -> allowed_call m now c d ->
  has (contribution c) E_EXFIL = true ->
  (met s es i E_PRIVATE \/ has (contribution c) E_PRIVATE = true) ->
  (met s es i E_UNTRUSTED \/ has (contribution c) E_UNTRUSTED = true) ->
  endorsed c = true \/
  exists t, used m t /\ now < expires t /\ same (for_session t) (session (before m)) = true /\
    same (for_policy t) (policy_id (before m)) = true /\ same (for_digest t) (digest c) = true.
Proof.
  intros s es i m now c d M A X P U. destruct (endorsed c) eqn:E; [now left | right].
  assert (G : part (before m) c now C_GATE <> V_ALLOW).
  { cbn [part]. unfold of_gate. rewrite X, E, N.ldiff_0_r. simpl.
    assert (F : full (N.lor (exposure (before m)) (contribution c)) = true).
    { destruct (history_at _ _ _ _ M) as (_ & B & _). apply full_has. intros l. rewrite has_lor, B.
      destruct l.
      - destruct P as [P|P]; [rewrite (met_exposed _ _ _ _ P) | rewrite P, orb_true_r]; auto.
      - destruct U as [U|U]; [rewrite (met_exposed _ _ _ _ U) | rewrite U, orb_true_r]; auto.
      - rewrite X. apply orb_true_r. }
    rewrite F. unfold guard. destruct (asks _); discriminate. }
  destruct (not_all_parts _ _ _ _ _ _ _ _ M A G) as (t & T & L). exists t. split; auto. now apply lifts_for.
Qed.

(* Tickets of a run from a state without any: in the slots, at most once, never above the last nonce. *)
Definition no_tickets (s : state) : Prop := forall t, In t (tickets s) -> kind t = 0.
Definition live (s : state) (i : nat) (t : ticket) : Prop := nth_error (tickets s) i = Some t /\ kind t <> 0.

Record sound (s : state) : Prop := Sound {
  below_last : forall i t, live s i t -> nonce t <= last_nonce s;
  distinct : forall i j t u, live s i t -> live s j u -> nonce t = nonce u -> i = j;
}.

(* No ticket with this nonce is there, and none can come. *)
Definition gone (n : N) (s : state) : Prop := n <= last_nonce s /\ forall i t, live s i t -> nonce t <> n.

Lemma nth_put : forall (A : Set) (x : A) l i j y, nth_error (put i x l) j = Some y ->
  (i = j /\ y = x) \/ (i <> j /\ nth_error l j = Some y).
Proof.
  induction l as [|z l IH]; intros i j y H; [destruct i, j; discriminate|].
  destruct i, j; simpl in *; auto.
  - injection H as <-. auto.
  - destruct (IH _ _ _ H) as [[-> ->]|[D E]]; [left | right]; auto.
Qed.

(* Events other than grants only remove tickets. *)
Definition fewer (s s' : state) : Prop :=
  last_nonce s' = last_nonce s /\ forall i t, live s' i t -> live s i t.

Lemma live_put_none : forall s s' slot, tickets s' = put slot no_ticket (tickets s) ->
  forall i t, live s' i t -> live s i t /\ i <> slot.
Proof.
  unfold live. intros s s' slot E i t (H & K). rewrite E in H. apply nth_put in H as [[-> ->]|[D H]]; [now destruct K|].
  split; auto.
Qed.

Lemma tickets_move : forall s c d, tickets (move s c d) = take (lifted_by d) (tickets s).
Proof. reflexivity. Qed.

Lemma after_tickets : forall s e,
  fewer s (after s e) \/
  exists now t slot, e = EGrant now t /\ snd (step s e) = Done /\ kind t <> 0 /\ last_nonce s < nonce t /\
    after s e = with_tickets s (nonce t) (put slot t (tickets s)).
Proof.
  intros s e. destruct e as [now c|p limits id| |amounts|legs|now t|n|p share id pid]; unfold after; cbn [step].
  - left. unfold step_call. cbn [fst]. destruct (answer (decide s c now)); try (split; auto).
    intros i t H. assert (E := tickets_move s c (decide s c now)).
    destruct (lifted_by (decide s c now)) as [|slot].
    + unfold live in *. now rewrite E in H.
    + exact (proj1 (live_put_none s _ slot E i t H)).
  - left. split; auto. cbn. unfold live. cbn. intros i t (H & K). rewrite nth_error_map in H.
    destruct (nth_error (tickets s) i) as [u|]; [|discriminate]. injection H as H. unfold keep_under in H.
    destruct (same (for_policy u) id); subst; auto. now destruct K.
  - left. split; auto.
  - left. split; auto.
  - left. split; auto.
  - destruct (step_grant s t now) as [s'|] eqn:G; cbn; [right | left; split; auto].
    apply step_grant_some in G as (K & _ & _ & _ & _ & L & i & _ & ->). exists now, t, i.
    repeat split; auto.
  - left. destruct (step_revoke s n) as [s'|] eqn:R; cbn; [|split; auto].
    apply step_revoke_some in R as (i & t & _ & _ & _ & ->). split; auto.
    intros j u H. refine (proj1 (live_put_none s _ i _ j u H)). reflexivity.
  - left. destruct (step_delegate s p share id pid) as [[s' child]|] eqn:D; cbn; [|split; auto].
    apply step_delegate_some in D as (_ & _ & -> & _). split; auto.
Qed.

Lemma live_grant : forall s t slot i u, live (with_tickets s (nonce t) (put slot t (tickets s))) i u ->
  (i = slot /\ u = t) \/ (i <> slot /\ live s i u).
Proof.
  unfold live. cbn. intros s t slot i u (H & K). apply nth_put in H as [[-> ->]|[D H]]; auto.
Qed.

Lemma after_sound : forall s e, sound s -> sound (after s e).
Proof.
  intros s e [B D]. destruct (after_tickets s e) as [[L F]|(now & t & slot & _ & _ & K & L & ->)].
  - constructor; intros; [rewrite L|]; eauto.
  - constructor.
    + intros i u H. cbn. apply live_grant in H as [[-> ->]|[_ H]]; [lia|]. specialize (B _ _ H). lia.
    + intros i j u v H G E. apply live_grant in H as [[-> ->]|[P H]], G as [[-> ->]|[Q G]]; auto.
      * specialize (B _ _ G). lia.
      * specialize (B _ _ H). lia.
      * now apply (D i j u v).
Qed.

Lemma after_gone : forall n s e, gone n s -> gone n (after s e).
Proof.
  intros n s e [L G]. destruct (after_tickets s e) as [[E F]|(now & t & slot & _ & _ & K & M & ->)].
  - split; [now rewrite E|]. intros i t H. apply (G i), F, H.
  - split; [cbn; lia|]. intros i u H. apply live_grant in H as [[-> ->]|[_ H]]; [lia|]. now apply (G i).
Qed.

Lemma no_tickets_sound : forall s, no_tickets s -> sound s.
Proof.
  intros s H. constructor; intros; unfold live in *; exfalso.
  - destruct H0 as [A B]. apply B, H. now apply nth_error_In in A.
  - destruct H0 as [A B]. apply B, H. now apply nth_error_In in A.
Qed.

Lemma begin_no_tickets : forall p l s i, no_tickets (begin p l s i).
Proof. intros p l s i t H. cbn in H. repeat destruct H as [<-|H]; auto. destruct H. Qed.

Lemma used_live : forall m t, used m t -> exists i, live (before m) i t.
Proof.
  intros m t (now & c & d & slot & _ & _ & N & L). apply lifts_for in L as [K _]. exists slot. split; auto.
Qed.

(* Once used, a nonce is gone. *)
Lemma used_gone : forall s es i m t, at_ s es i m -> sound (before m) -> used m t ->
  gone (nonce t) (after (before m) (what m)).
Proof.
  intros s es i m t M [B D] (now & c & d & slot & A & L & N & K).
  destruct (allowed_call_after _ _ _ _ _ _ _ M A) as [_ ->]. apply lifts_for in K as [K _].
  assert (V : live (before m) slot t) by (split; auto). split.
  - cbn. now apply (B slot).
  - intros j u H. apply (live_put_none (before m) _ slot) in H as [H P]; [|now rewrite tickets_move, L].
    intros E. apply P. now apply (D j slot u t).
Qed.

Lemma sound_at : forall s es i m, no_tickets s -> at_ s es i m -> sound (before m).
Proof.
  intros s es i m H M. apply history_at in M as (_ & -> & _). apply kept; auto using after_sound, no_tickets_sound.
Qed.

Lemma used_once : forall s es i j m k t u, no_tickets s -> at_ s es i m -> at_ s es j k ->
  used m t -> used k u -> nonce t = nonce u -> i = j.
Proof.
  assert (W : forall s es i j m k t u, no_tickets s -> at_ s es i m -> at_ s es j k ->
    used m t -> used k u -> nonce t = nonce u -> ~ (i < j)%nat).
  { intros s es i j m k t u H M K T U E L.
    assert (G : gone (nonce t) (run s (firstn (S i) es))).
    { rewrite (run_next _ _ _ _ M). eapply used_gone; eauto using sound_at. }
    apply (kept_between (gone (nonce t)) (after_gone (nonce t)) _ _ (S i) j) in G; [|lia].
    destruct (history_at _ _ _ _ K) as (_ & B & _). rewrite <- B in G.
    destruct (used_live _ _ U) as [slot V]. now apply (proj2 G slot u V). }
  intros s es i j m k t u H M K T U E.
  assert (A := W _ _ _ _ _ _ _ _ H M K T U E). assert (B := W _ _ _ _ _ _ _ _ H K M U T (eq_sym E)). lia.
Qed.

(* Granted at moment `j`. *)
Definition granted (m : moment) (t : ticket) : Prop := exists now, what m = EGrant now t /\ told m = Done.

Lemma live_was_granted : forall s es i slot t, no_tickets s -> live (run s (firstn i es)) slot t ->
  exists j m, (j < i)%nat /\ at_ s es j m /\ granted m t.
Proof.
  intros s es i slot t H. revert slot. induction i as [|i IH]; intros slot L.
  - exfalso. destruct L as [A B]. apply B, H. now apply nth_error_In in A.
  - destruct (nth_error (history s es) i) as [m|] eqn:M.
    + change (at_ s es i m) in M. rewrite (run_next _ _ _ _ M) in L.
      destruct (history_at _ _ _ _ M) as (_ & B & T).
      destruct (after_tickets (before m) (what m)) as [[_ F]|(now & u & k & W & D & _ & _ & E)].
      * apply F in L. rewrite B in L. destruct (IH _ L) as (j & n & P & Q). exists j, n. split; [lia | exact Q].
      * rewrite E in L. apply live_grant in L as [[-> ->]|[_ L]].
        -- exists i, m. split; [lia|]. split; auto. exists now. split; [assumption | now rewrite T, D].
        -- rewrite B in L. destruct (IH _ L) as (j & n & P & Q). exists j, n. split; [lia | exact Q].
    + assert (N : nth_error es i = None).
      { assert (X : length (history s es) = length es).
        { clear. revert s. induction es; intros s; simpl; auto. }
        apply nth_error_None. apply nth_error_None in M. lia. }
      apply nth_error_None in N. replace (firstn (S i) es) with (firstn i es) in L
        by (rewrite !firstn_all2 by lia; reflexivity).
      destruct (IH _ L) as (j & n & P & Q). exists j, n. split; [lia | exact Q].
Qed.

(* A nonce is granted once. *)
Lemma granted_nonce : forall s es j m t, at_ s es j m -> granted m t ->
  last_nonce (before m) < nonce t /\ last_nonce (run s (firstn (S j) es)) = nonce t.
Proof.
  intros s es j m t M (now & W & T). rewrite (run_next _ _ _ _ M).
  destruct (history_at _ _ _ _ M) as (_ & _ & E). rewrite W in *. unfold after. rewrite T in E. cbn in *.
  destruct (step_grant (before m) t now) as [s'|] eqn:G; [|discriminate].
  apply step_grant_some in G as (_ & _ & _ & _ & _ & L & i & _ & ->). auto.
Qed.

Lemma granted_once : forall s es i j m k t u, at_ s es i m -> at_ s es j k -> granted m t -> granted k u ->
  nonce t = nonce u -> i = j.
Proof.
  assert (W : forall s es i j m k t u, at_ s es i m -> at_ s es j k -> granted m t -> granted k u ->
    nonce t = nonce u -> ~ (i < j)%nat).
  { intros s es i j m k t u M K T U E L. apply (granted_nonce _ _ _ _ _ M) in T as [_ T].
    apply (granted_nonce _ _ _ _ _ K) in U as [U _]. destruct (history_at _ _ _ _ K) as (_ & B & _).
    assert (R : nonce t <= last_nonce (run s (firstn j es))).
    { apply (kept_between (fun s => nonce t <= last_nonce s)) with (i := S i); [|lia|lia].
      intros s0 e H. pose proof (nonce_grows _ _ (after_ratchet s0 e)). lia. }
    rewrite <- B in R. lia. }
  intros s es i j m k t u M K T U E.
  assert (A := W _ _ _ _ _ _ _ _ M K T U E). assert (B := W _ _ _ _ _ _ _ _ K M U T (eq_sym E)). lia.
Qed.

(* Behind the call of moment `i` stands exactly one ticket: granted before, once, for this session, policy and call,
   and used by no other call. *)
Definition one_ticket_behind (s : state) (es : list event) (i : nat) (m : moment) (c : call) (now : N) : Prop :=
  exists j g t, (j < i)%nat /\ at_ s es j g /\ granted g t /\ used m t /\
    now < expires t /\ same (for_session t) (session (before m)) = true /\
    same (for_policy t) (policy_id (before m)) = true /\ same (for_digest t) (digest c) = true /\
    (forall j' g' t', at_ s es j' g' -> granted g' t' -> nonce t' = nonce t -> j' = j) /\
    (forall i' m' t', at_ s es i' m' -> used m' t' -> nonce t' = nonce t -> i' = i).

Lemma one_ticket : forall s es i m now c d k, no_tickets s -> at_ s es i m -> allowed_call m now c d ->
  part (before m) c now k <> V_ALLOW -> one_ticket_behind s es i m c now.
Proof.
  intros s es i m now c d k H M A P. destruct (not_all_parts _ _ _ _ _ _ _ _ M A P) as (t & T & L).
  destruct (used_live _ _ T) as [slot V]. destruct (history_at _ _ _ _ M) as (_ & B & _).
  assert (V' := V). rewrite B in V'. destruct (live_was_granted _ _ _ _ _ H V') as (j & g & Q & G & R).
  exists j, g, t. apply lifts_for in L as (_ & L). repeat split; try tauto.
  - intros j' g' t' G' R' E. eapply granted_once; eauto.
  - intros i' m' t' M' T' E. eapply used_once; eauto.
Qed.

(** T14. In every run that begins without tickets, each way out taken where the legs meet, and not named by the operator, has
    exactly one ticket behind it: granted earlier, once, for the same session, policy and call, used by no other call. *)
Theorem one_ticket_for_each_way_out : forall s es i m now c d, no_tickets s -> at_ s es i m ->
  allowed_call m now c d -> has (contribution c) E_EXFIL = true ->
  (met s es i E_PRIVATE \/ has (contribution c) E_PRIVATE = true) ->
  (met s es i E_UNTRUSTED \/ has (contribution c) E_UNTRUSTED = true) ->
  endorsed c = false -> one_ticket_behind s es i m c now.
Proof.
  intros s es i m now c d H M A X P U E.
  apply one_ticket with (d := d) (k := C_GATE); auto.
  cbn [part]. unfold of_gate. rewrite X, E, N.ldiff_0_r. simpl.
  assert (F : full (N.lor (exposure (before m)) (contribution c)) = true).
  { destruct (history_at _ _ _ _ M) as (_ & B & _). apply full_has. intros l. rewrite has_lor, B.
    destruct l.
    - destruct P as [P|P]; [rewrite (met_exposed _ _ _ _ P) | rewrite P, orb_true_r]; auto.
    - destruct U as [U|U]; [rewrite (met_exposed _ _ _ _ U) | rewrite U, orb_true_r]; auto.
    - rewrite X. apply orb_true_r. }
  rewrite F. unfold guard. destruct (asks _); discriminate.
Qed.

(** T15. Trusted action: after untrusted content, each effect beyond the workspace that the operator did not name has exactly
    one ticket behind it. *)
Theorem one_ticket_for_each_trusted_action : forall s es i m now c d k, no_tickets s -> at_ s es i m ->
  allowed_call m now c d -> dimension_of (dimension_code c) = Some k -> consequential k = true ->
  met s es i E_UNTRUSTED -> endorsed c = false -> one_ticket_behind s es i m c now.
Proof.
  intros s es i m now c d k H M A D C U E.
  apply one_ticket with (d := d) (k := C_TRUST); auto.
  cbn [part]. unfold of_trust. rewrite D, C, E. simpl.
  destruct (history_at _ _ _ _ M) as (_ & B & _).
  unfold has. rewrite N.ldiff_spec, N.bits_0. fold (has (exposure (before m)) E_UNTRUSTED).
  rewrite B, (met_exposed _ _ _ _ U). unfold guard. simpl. destruct (asks _); discriminate.
Qed.

(** T20. A ticket cannot be replayed: it lifts nothing in another session, under another policy or for another call; a nonce
    not above the last is refused; and once used or taken back it lifts nothing more, whatever follows. *)
Theorem tickets_are_not_replayable :
  (forall t s c now, lifts t s c now = true ->
     same (for_session t) (session s) = true /\ same (for_policy t) (policy_id s) = true /\
     same (for_digest t) (digest c) = true) /\
  (forall s t now, nonce t <= last_nonce s -> step_grant s t now = None) /\
  (forall s es i j m k t u, no_tickets s -> at_ s es i m -> at_ s es j k ->
     used m t -> used k u -> nonce t = nonce u -> i = j) /\
  (forall s n s' es m i t, sound s -> step_revoke s n = Some s' -> at_ s' es i m -> used m t -> nonce t <> n) /\
  (forall s p l id es m i t, same (for_policy t) id = false -> nonce t <= last_nonce s -> sound s ->
     (exists slot, live s slot t) -> at_ (step_attenuate s p l id) es i m -> used m t -> False).
Proof.
  repeat split; try (intros; apply lifts_for in H; tauto).
  - intros s t now L. unfold step_grant. destruct (_ || _); auto. destruct (negb _); auto.
    apply N.leb_le in L. now rewrite L.
  - exact used_once.
  - intros s n s' es m i t [B D] R M U. apply step_revoke_some in R as (slot & u & P & K & E & ->).
    assert (G : gone n (with_tickets s (last_nonce s) (put slot no_ticket (tickets s)))).
    { split; [cbn; rewrite <- E; apply (B slot); split; auto|].
      intros j v H. apply (live_put_none s _ slot) in H as [H Q]; [|reflexivity]. intros F. apply Q.
      apply (D j slot v u); auto; [split; auto | congruence]. }
    destruct (used_live _ _ U) as [k V]. apply history_at in M as (_ & F & _).
    apply (kept (gone n) (after_gone n) (firstn i es)) in G. rewrite <- F in G. now apply (proj2 G k).
  - intros s p l id es m i t S L [B D] (slot & W) M U.
    assert (G : gone (nonce t) (step_attenuate s p l id)).
    { split; auto. intros j v (H & K). cbn in H. rewrite nth_error_map in H.
      destruct (nth_error (tickets s) j) as [u|] eqn:E; [|discriminate]. injection H as H. unfold keep_under in H.
      destruct (same (for_policy u) id) eqn:F; subst v; [|now destruct K]. intros Q.
      assert (j = slot) by (apply (D j slot u t); auto; split; auto). subst j. destruct W as [W _]. congruence. }
    destruct (used_live _ _ U) as [k V]. apply history_at in M as (_ & F & _).
    apply (kept (gone (nonce t)) (after_gone (nonce t)) (firstn i es)) in G. rewrite <- F in G. now apply (proj2 G k t).
Qed.

(* T4, T19 *)

Lemma all_le_zip_min : forall a b c, length a = length b ->
  all_le c (zip N.min a b) = all_le c a && all_le c b.
Proof.
  induction a as [|x a IH]; intros [|y b] [|z c] L; simpl in *; try discriminate; auto.
  rewrite IH by congruence. destruct (N.leb_spec z (N.min x y)), (N.leb_spec z x), (N.leb_spec z y);
    simpl; try lia; destruct (all_le c a), (all_le c b); reflexivity.
Qed.

Lemma subset_lor : forall a b c, subset (N.lor a b) c = subset a c && subset b c.
Proof.
  intros a b c. unfold subset. apply eq_true_iff_eq. rewrite andb_true_iff, !N.eqb_eq, !subset_bits. split.
  - intros H. split; intros i B; apply H; rewrite N.lor_spec, B; auto using orb_true_r.
  - intros [H K] i B. rewrite N.lor_spec in B. apply orb_true_iff in B as [B|B]; auto.
Qed.

(** T4. The limits are lattices of their own: a time lies in the window of a meet, layers suffice for it, and a cost fits
    the smaller of two budgets, exactly when they do so for both sides; depth is the smaller. *)
Theorem limits_are_lattices :
  (forall a b now, (not_before (meet a b) <=? now) && (now <? not_after (meet a b)) =
     ((not_before a <=? now) && (now <? not_after a)) && ((not_before b <=? now) && (now <? not_after b))) /\
  (forall a b l, subset (required_layers (meet a b)) l =
     subset (required_layers a) l && subset (required_layers b) l) /\
  (forall a b c, length a = length b -> all_le c (zip N.min a b) = all_le c a && all_le c b) /\
  (forall a b, depth (meet a b) = N.min (depth a) (depth b)).
Proof.
  repeat split.
  - intros a b now. cbn [meet not_before not_after].
    destruct (N.leb_spec (N.max (not_before a) (not_before b)) now), (N.leb_spec (not_before a) now),
      (N.leb_spec (not_before b) now), (N.ltb_spec now (N.min (not_after a) (not_after b))),
      (N.ltb_spec now (not_after a)), (N.ltb_spec now (not_after b)); simpl; auto; lia.
  - intros. apply subset_lor.
  - exact all_le_zip_min.
Qed.

Lemma meet_swap : forall a p q, meet (meet a p) q = meet (meet a q) p.
Proof.
  intros a p q. unfold meet; cbn [levels required_layers obligations trifecta trusted_action depth not_before
    not_after]. f_equal; rewrite ?asks_mode_of; try lia.
  - apply pack_ext. intros d. rewrite !level_at_pack.
    destruct (level_at (levels a) d), (level_at (levels p) d), (level_at (levels q) d); reflexivity.
  - rewrite <- !N.lor_assoc. f_equal. apply N.lor_comm.
  - rewrite <- !N.lor_assoc. f_equal. apply N.lor_comm.
  - f_equal. rewrite <- !andb_assoc. f_equal. apply andb_comm.
  - f_equal. rewrite <- !andb_assoc. f_equal. apply andb_comm.
Qed.

Lemma zip_min_swap : forall a b c, zip N.min (zip N.min a b) c = zip N.min (zip N.min a c) b.
Proof. induction a as [|x a IH]; intros [|y b] [|z c]; simpl; auto. rewrite IH. f_equal. lia. Qed.

Lemma meet_idem : forall a p, meet (meet a p) p = meet a p.
Proof.
  intros a p. unfold meet; cbn [levels required_layers obligations trifecta trusted_action depth not_before
    not_after]. f_equal; rewrite ?asks_mode_of; try lia.
  - apply pack_ext. intros d. rewrite !level_at_pack.
    destruct (level_at (levels a) d), (level_at (levels p) d); reflexivity.
  - rewrite <- N.lor_assoc. f_equal. apply N.lor_diag.
  - rewrite <- N.lor_assoc. f_equal. apply N.lor_diag.
  - f_equal. rewrite <- andb_assoc. f_equal. apply andb_diag.
  - f_equal. rewrite <- andb_assoc. f_equal. apply andb_diag.
Qed.

(* A caveat narrows a session: an attenuation, or a lockdown. *)
Inductive caveat : Set := Attenuated (p : policy) (limits : option (list N)) (id : list N) | LockedDown.
Definition narrowed (s : state) (k : caveat) : state :=
  match k with Attenuated p l id => step_attenuate s p l id | LockedDown => step_lockdown s end.
Definition effective (s : state) : policy * list N := (authority s, remaining s).

Definition narrow (x : policy * list N) (k : caveat) : policy * list N :=
  match k with
  | Attenuated p (Some l) _ => (meet (fst x) p, zip N.min (snd x) l)
  | Attenuated p None _ => (meet (fst x) p, snd x)
  | LockedDown => (meet (fst x) reading, snd x)
  end.

Lemma effective_narrowed : forall s k, effective (narrowed s k) = narrow (effective s) k.
Proof. intros s [p [l|] id|]; reflexivity. Qed.

Lemma narrow_swap : forall x k j, narrow (narrow x k) j = narrow (narrow x j) k.
Proof.
  intros x [p [l|] id|] [q [m|] jd|]; cbn [narrow fst snd]; f_equal; auto using meet_swap, zip_min_swap.
Qed.

Lemma effective_fold : forall ks s, effective (fold_left narrowed ks s) = fold_left narrow ks (effective s).
Proof. induction ks as [|k ks IH]; intros s; simpl; auto. now rewrite IH, effective_narrowed. Qed.

(** T19. The order of caveats is irrelevant, and saying one twice changes nothing: whatever attenuations and lockdowns
    narrowed a session, its authority and its budget are the meet of all of them. *)
Theorem order_of_caveats_is_irrelevant :
  (forall ks js s, Permutation ks js ->
     effective (fold_left narrowed ks s) = effective (fold_left narrowed js s)) /\
  (forall k s, authority (narrowed (narrowed s k) k) = authority (narrowed s k)).
Proof.
  split.
  - intros ks js s P. rewrite !effective_fold. generalize (effective s).
    induction P as [|k ks js P IH|k j ks|ks js ls P IH Q JH]; intros x; simpl; auto.
    + now rewrite narrow_swap.
    + now rewrite IH.
  - intros [p l id|] s; apply meet_idem.
Qed.
