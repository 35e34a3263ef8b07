(* The decision: policy/kernel/decide.c, part by part. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice Krux.Exposure.
Import ListNotations.
Open Scope N_scope.

(* struct krux_ticket *)
Record ticket : Set := Ticket {
  kind : N;
  nonce : N;
  expires : N;
  for_session : list N;
  for_policy : list N;
  for_digest : list N;
}.

(* struct krux_state *)
Record state : Set := State {
  authority : policy;
  exposure : N;
  remaining : list N;
  calls : N;
  session : list N;
  policy_id : list N;
  last_nonce : N;
  tickets : list ticket;
}.

(* The same state but for one thing. *)
Definition with_authority (s : state) (p : policy) : state :=
  {| authority := p; exposure := exposure s; remaining := remaining s; calls := calls s;
     session := session s; policy_id := policy_id s; last_nonce := last_nonce s; tickets := tickets s |}.
Definition with_remaining (s : state) (r : list N) : state :=
  {| authority := authority s; exposure := exposure s; remaining := r; calls := calls s;
     session := session s; policy_id := policy_id s; last_nonce := last_nonce s; tickets := tickets s |}.
Definition with_exposure (s : state) (e : N) : state :=
  {| authority := authority s; exposure := e; remaining := remaining s; calls := calls s;
     session := session s; policy_id := policy_id s; last_nonce := last_nonce s; tickets := tickets s |}.
Definition with_tickets (s : state) (n : N) (ts : list ticket) : state :=
  {| authority := authority s; exposure := exposure s; remaining := remaining s; calls := calls s;
     session := session s; policy_id := policy_id s; last_nonce := n; tickets := ts |}.

(* struct krux_decision *)
Record decision : Set := Decision {
  answer : verdict;
  parts : list verdict;
  reasons : N;
  adds : N;
  lifted_by : nat;  (* 1 + slot, 0 for none *)
}.

Definition verdict_leb (x y : verdict) : bool := Nat.leb (verdict_index x) (verdict_index y).
Definition least (x y : verdict) : verdict := if verdict_leb x y then x else y.
Definition allows (v : verdict) : bool := match v with V_ALLOW => true | _ => false end.

Definition guard (mode : N) : verdict := if asks mode then V_ASK else V_DENY.

Definition risk_of (c : N) : option risk :=
  if c <? N.of_nat (length all_risk) then nth_error all_risk (N.to_nat c) else None.

Definition of_level (p : policy) (c : call) : verdict :=
  match risk_of (risk_code c) with
  | None => V_DENY
  | Some r =>
    if dimension_code c =? none_code then V_ALLOW
    else match policy_level p (dimension_code c), r with
         | L_NEVER, _ => V_DENY
         | L_LOW_RISK, R_LOW => V_ALLOW
         | L_LOW_RISK, _ => V_ASK
         | L_ALWAYS, R_CRITICAL => V_ASK
         | L_ALWAYS, _ => V_ALLOW
         end
  end.

Definition of_obligation (p : policy) (c : call) : verdict :=
  if obliged c then V_ASK
  else match dimension_of (dimension_code c) with
       | None => V_ALLOW
       | Some d => if N.testbit (obligations p) (code dimension_index d) then V_ASK else V_ALLOW
       end.

Definition of_scope (c : call) : verdict :=
  if (scopes c =? 0) && negb (dimension_code c =? none_code) then V_DENY
  else if subset (scopes c) (inside c) then V_ALLOW else V_DENY.

Definition of_gate (s : state) (c : call) (overlooked : N) : verdict :=
  if negb (has (contribution c) E_EXFIL) || endorsed c then V_ALLOW
  else if full (N.ldiff (N.lor (exposure s) (contribution c)) overlooked)
       then guard (trifecta (authority s)) else V_ALLOW.

Definition of_trust (s : state) (c : call) (overlooked : N) : verdict :=
  match dimension_of (dimension_code c) with
  | None => V_ALLOW
  | Some d =>
    if endorsed c || negb (consequential d) then V_ALLOW
    else if has (N.ldiff (exposure s) overlooked) E_UNTRUSTED
         then guard (trusted_action (authority s)) else V_ALLOW
  end.

Definition of_confinement (c : call) : verdict :=
  if negb (within_grants (touches c)) then V_DENY
  else if runs_program (touches c) && negb (dimension_code c =? code dimension_index D_RUN_EXEC) then V_DENY
  else if subset (footprint_legs (touches c)) (contribution c) then V_ALLOW else V_DENY.

(* The amounts of one list, each at most its neighbour in the other. *)
Fixpoint all_le (a b : list N) : bool :=
  match a, b with
  | x :: a', y :: b' => (x <=? y) && all_le a' b'
  | _, _ => true
  end.

Definition of_limit (s : state) (c : call) (now : N) : verdict :=
  let p := authority s in
  if negb (all_le (cost c) (remaining s)) then V_DENY
  else if existsb (N.eqb 0) (remaining s) && negb (dimension_code c =? none_code) then V_DENY
  else if (now <? not_before p) || (not_after p <=? now) then V_DENY
  else if negb (subset (required_layers p) (layers (touches c))) then V_DENY
  else if (dimension_code c =? code dimension_index D_SPAWN_AGENT) && (depth p =? 0) then V_DENY
  else V_ALLOW.

Definition part (s : state) (c : call) (now : N) (k : component) : verdict :=
  match k with
  | C_LEVEL => of_level (authority s) c
  | C_OBLIGATION => of_obligation (authority s) c
  | C_SCOPE => of_scope c
  | C_GATE => of_gate s c 0
  | C_TRUST => of_trust s c 0
  | C_CONFINEMENT => of_confinement c
  | C_LIMIT => of_limit s c now
  end.

Fixpoint same (a b : list N) : bool :=
  match a, b with
  | [], [] => true
  | x :: a', y :: b' => (x =? y) && same a' b'
  | _, _ => false
  end.

Definition kind_of (t : ticket) : option ticket_kind :=
  if kind t <? N.of_nat (length all_ticket_kind) then nth_error all_ticket_kind (N.to_nat (kind t)) else None.

(* Is this ticket for this call, here and now? *)
Definition is_for (t : ticket) (s : state) (c : call) (now : N) : bool :=
  (now <? expires t) && same (for_session t) (session s) && same (for_policy t) (policy_id s)
  && same (for_digest t) (digest c).

Definition guards (k : component) : bool := match k with C_GATE | C_TRUST => true | _ => false end.

(* Would the call be allowed with this leg overlooked? *)
Definition overlooks (s : state) (c : call) (now : N) (l : leg) : bool :=
  forallb (fun k => guards k || allows (part s c now k)) all_component
  && allows (of_gate s c (bit l)) && allows (of_trust s c (bit l)).

(* Would the call be allowed with this ticket? *)
Definition lifts (t : ticket) (s : state) (c : call) (now : N) : bool :=
  match kind_of t with
  | Some T_APPROVE => is_for t s c now
  | Some T_DECLASSIFY_PRIVATE => is_for t s c now && overlooks s c now E_PRIVATE
  | Some T_DECLASSIFY_UNTRUSTED => is_for t s c now && overlooks s c now E_UNTRUSTED
  | Some T_NONE | None => false
  end.

Fixpoint first {A : Set} (ok : A -> bool) (slots : list A) : option nat :=
  match slots with
  | [] => None
  | x :: rest => if ok x then Some O else option_map S (first ok rest)
  end.

Definition fold_parts (ps : list verdict) : verdict := fold_right least V_ALLOW ps.
Fixpoint reasons_from (place : N) (ps : list verdict) : N :=
  match ps with
  | [] => 0
  | v :: rest => N.lor (if allows v then 0 else N.shiftl 1 place) (reasons_from (place + 1) rest)
  end.

(* krux_decide *)
Definition decide (s : state) (c : call) (now : N) : decision :=
  let ps := map (part s c now) all_component in
  let alone := fold_parts ps in
  let lift := match alone with
              | V_ASK => first (fun t => lifts t s c now) (tickets s)
              | _ => None
              end in
  {| answer := match lift with Some _ => V_ALLOW | None => alone end;
     parts := ps;
     reasons := reasons_from 0 ps;
     adds := contribution c;
     lifted_by := match lift with Some i => S i | None => O end |}.

(* What the parts say together, before tickets. *)
Definition alone (s : state) (c : call) (now : N) : verdict := fold_parts (map (part s c now) all_component).
Definition usable (s : state) (c : call) (now : N) : option nat := first (fun t => lifts t s c now) (tickets s).
Definition verdict_le (x y : verdict) : Prop := (verdict_index x <= verdict_index y)%nat.

Lemma answer_eq : forall s c now, answer (decide s c now) =
  match alone s c now with
  | V_ASK => match usable s c now with Some _ => V_ALLOW | None => V_ASK end
  | v => v
  end.
Proof. intros. unfold decide, alone, usable. cbn [answer lifted_by].
  destruct (fold_parts (map (part s c now) all_component)); [|destruct (first _ _)|]; reflexivity. Qed.

Lemma lifted_by_eq : forall s c now, lifted_by (decide s c now) =
  match alone s c now with
  | V_ASK => match usable s c now with Some i => S i | None => O end
  | _ => O
  end.
Proof. intros. unfold decide, alone, usable. cbn [answer lifted_by].
  destruct (fold_parts (map (part s c now) all_component)); [|destruct (first _ _)|]; reflexivity. Qed.

Lemma in_all_component : forall k, In k all_component.
Proof. destruct k; simpl; tauto. Qed.

Lemma least_le : forall x y, verdict_le (least x y) x /\ verdict_le (least x y) y.
Proof. destruct x, y; unfold verdict_le; simpl; lia. Qed.

Lemma fold_parts_le : forall ps v, In v ps -> verdict_le (fold_parts ps) v.
Proof.
  induction ps as [|x ps IH]; intros v H; destruct H.
  - subst. apply least_le.
  - unfold verdict_le in *. specialize (IH v H). simpl.
    destruct (least_le x (fold_parts ps)). unfold verdict_le in *. lia.
Qed.

Lemma alone_le : forall s c now k, verdict_le (alone s c now) (part s c now k).
Proof. intros. apply fold_parts_le, in_map, in_all_component. Qed.

Lemma alone_allow : forall s c now, alone s c now = V_ALLOW <-> forall k, part s c now k = V_ALLOW.
Proof.
  intros s c now. split.
  - intros H k. pose proof (alone_le s c now k) as L. rewrite H in L.
    destruct (part s c now k); unfold verdict_le in L; simpl in L; (reflexivity || lia).
  - intros H. unfold alone. cbn [all_component map]. now rewrite !H.
Qed.

Lemma fold_parts_mono : forall (f g : component -> verdict) ks,
  (forall k, verdict_le (f k) (g k)) -> verdict_le (fold_parts (map f ks)) (fold_parts (map g ks)).
Proof.
  intros f g ks H. induction ks as [|k ks IH]; simpl; [unfold verdict_le; lia|].
  specialize (H k). unfold verdict_le in *.
  destruct (f k), (g k), (fold_parts (map f ks)), (fold_parts (map g ks)); simpl in *; lia.
Qed.

Lemma first_some : forall (A : Set) (ok : A -> bool) l i, first ok l = Some i ->
  exists x, nth_error l i = Some x /\ ok x = true.
Proof.
  induction l as [|x l IH]; simpl; intros i H; [discriminate|].
  destruct (ok x) eqn:E.
  - injection H as <-. exists x. auto.
  - destruct (first ok l) as [j|]; [|discriminate]. injection H as <-. now apply IH.
Qed.

Lemma first_none : forall (A : Set) (ok : A -> bool) l, first ok l = None -> forall x, In x l -> ok x = false.
Proof.
  induction l as [|x l IH]; simpl; intros H y K; [tauto|].
  destruct (ok x) eqn:E; [discriminate|]. destruct (first ok l) eqn:F; [discriminate|].
  destruct K; [now subst | auto].
Qed.

Lemma first_mono : forall (A : Set) (ok ok' : A -> bool) l,
  (forall x, ok x = true -> ok' x = true) -> first ok l <> None -> first ok' l <> None.
Proof.
  intros A ok ok' l H F G. destruct (first ok l) as [i|] eqn:E; [|congruence].
  apply first_some in E as (x & N & O). apply nth_error_In in N.
  pose proof (first_none _ _ _ G x N) as K. rewrite (H x O) in K. discriminate.
Qed.

(* Two states under which every part says at most as much: the first is never answered better. *)
Record weaker (s s' : state) (c : call) (now : N) : Prop := Weaker {
  same_tickets : tickets s = tickets s';
  same_session : session s = session s';
  same_policy : policy_id s = policy_id s';
  parts_le : forall k, verdict_le (part s c now k) (part s' c now k);
  gate_le : forall l, allows (of_gate s c (bit l)) = true -> allows (of_gate s' c (bit l)) = true;
  trust_le : forall l, allows (of_trust s c (bit l)) = true -> allows (of_trust s' c (bit l)) = true;
}.

Lemma allows_le : forall x y, verdict_le x y -> allows x = true -> allows y = true.
Proof. destruct x, y; unfold verdict_le; simpl; intros; (reflexivity || lia || discriminate). Qed.

Lemma overlooks_weaker : forall s s' c now l, weaker s s' c now ->
  overlooks s c now l = true -> overlooks s' c now l = true.
Proof.
  intros s s' c now l [_ _ _ P G T]. unfold overlooks.
  rewrite !andb_true_iff, !forallb_forall. intros ((A & B) & C). repeat split; auto.
  intros k K. specialize (A k K). destruct (guards k); auto. simpl in *. eapply allows_le; [apply P | exact A].
Qed.

Lemma lifts_weaker : forall t s s' c now, weaker s s' c now -> lifts t s c now = true -> lifts t s' c now = true.
Proof.
  intros t s s' c now W. assert (F : is_for t s c now = is_for t s' c now).
  { unfold is_for. now rewrite (same_session _ _ _ _ W), (same_policy _ _ _ _ W). }
  unfold lifts. rewrite F. destruct (kind_of t) as [[]|]; auto; rewrite !andb_true_iff; intros [A B]; split; auto;
    eapply overlooks_weaker; eauto.
Qed.

Lemma answer_weaker : forall s s' c now, weaker s s' c now ->
  verdict_le (answer (decide s c now)) (answer (decide s' c now)).
Proof.
  intros s s' c now W. rewrite !answer_eq.
  assert (L : verdict_le (alone s c now) (alone s' c now)) by apply fold_parts_mono, W.
  assert (U : usable s c now <> None -> usable s' c now <> None).
  { unfold usable. rewrite (same_tickets _ _ _ _ W). apply first_mono. intros t. now apply lifts_weaker. }
  destruct (alone s c now), (alone s' c now); unfold verdict_le in *; simpl in *; try lia;
    destruct (usable s c now), (usable s' c now); simpl; try lia; exfalso; apply U; congruence.
Qed.

Lemma le_allow : forall v, verdict_le v V_ALLOW.
Proof. destruct v; unfold verdict_le; simpl; lia. Qed.
Lemma deny_le : forall v, verdict_le V_DENY v.
Proof. destruct v; unfold verdict_le; simpl; lia. Qed.
Lemma verdict_le_refl : forall v, verdict_le v v.
Proof. destruct v; unfold verdict_le; simpl; lia. Qed.

(* T5 *)

Lemma of_level_mono : forall a b c, a <<= b -> verdict_le (of_level a c) (of_level b c).
Proof.
  intros a b c H. apply le_fields in H. pose proof (le_levels _ _ H) as L.
  unfold of_level, policy_level. destruct (risk_of (risk_code c)) as [r|]; [|unfold verdict_le; simpl; lia].
  destruct (dimension_code c =? none_code); [unfold verdict_le; simpl; lia|].
  destruct (dimension_of (dimension_code c)) as [d|]; [|unfold verdict_le; simpl; lia].
  specialize (L d). unfold level_le in L.
  destruct (level_at (levels a) d), (level_at (levels b) d), r; unfold verdict_le; simpl in *; lia.
Qed.

Lemma of_obligation_mono : forall a b c, a <<= b -> verdict_le (of_obligation a c) (of_obligation b c).
Proof.
  intros a b c H. apply le_fields in H. pose proof (le_obligations _ _ H) as L.
  unfold of_obligation. destruct (obliged c); [unfold verdict_le; simpl; lia|].
  destruct (dimension_of (dimension_code c)) as [d|]; [|unfold verdict_le; simpl; lia].
  specialize (L (code dimension_index d)).
  destruct (N.testbit (obligations a) _), (N.testbit (obligations b) _); unfold verdict_le; simpl;
    try lia; discriminate (L eq_refl).
Qed.

Lemma guard_mono : forall x y, mode_le x y -> verdict_le (guard x) (guard y).
Proof.
  unfold mode_le, guard. intros x y H. destruct (asks x), (asks y); unfold verdict_le; simpl; try lia;
    discriminate (H eq_refl).
Qed.

Lemma of_gate_mono : forall a b s c l, a <<= b ->
  verdict_le (of_gate (with_authority s a) c l) (of_gate (with_authority s b) c l).
Proof.
  intros a b s c l H. apply le_fields in H. unfold of_gate. simpl.
  destruct (_ || _); [unfold verdict_le; simpl; lia|].
  destruct (full _); [apply guard_mono, H | unfold verdict_le; simpl; lia].
Qed.

Lemma of_trust_mono : forall a b s c l, a <<= b ->
  verdict_le (of_trust (with_authority s a) c l) (of_trust (with_authority s b) c l).
Proof.
  intros a b s c l H. apply le_fields in H. unfold of_trust. simpl.
  destruct (dimension_of _); [|unfold verdict_le; simpl; lia].
  destruct (_ || _); [unfold verdict_le; simpl; lia|].
  destruct (has _ _); [apply guard_mono, H | unfold verdict_le; simpl; lia].
Qed.

Lemma bits_le_trans : forall a b c, bits_le a b -> bits_le b c -> bits_le a c.
Proof. unfold bits_le. auto. Qed.

Lemma of_limit_mono : forall a b s c now, a <<= b ->
  verdict_le (of_limit (with_authority s a) c now) (of_limit (with_authority s b) c now).
Proof.
  intros a b s c now H. apply le_fields in H. destruct H as [_ L _ _ _ D B A]. unfold of_limit. simpl.
  destruct (negb (all_le _ _)); [unfold verdict_le; simpl; lia|].
  destruct (_ && _); [unfold verdict_le; simpl; lia|].
  destruct ((now <? not_before a) || (not_after a <=? now)) eqn:W; [unfold verdict_le; simpl; lia|].
  assert (W' : (now <? not_before b) || (not_after b <=? now) = false).
  { apply orb_false_iff in W as [P Q]. apply N.ltb_ge in P. apply N.leb_gt in Q.
    apply orb_false_iff. split; [apply N.ltb_ge | apply N.leb_gt]; lia. }
  rewrite W'. unfold subset. destruct (N.ldiff (required_layers a) (layers (touches c)) =? 0) eqn:F;
    [|unfold verdict_le; simpl; lia].
  apply N.eqb_eq in F. rewrite subset_bits in F.
  assert (F' : N.ldiff (required_layers b) (layers (touches c)) =? 0 = true).
  { apply N.eqb_eq, subset_bits. intros i P. apply F, L, P. }
  rewrite F'. simpl. destruct (dimension_code c =? _); simpl; [|unfold verdict_le; simpl; lia].
  destruct (N.eqb_spec (depth a) 0); [unfold verdict_le; simpl; lia|].
  destruct (N.eqb_spec (depth b) 0); [lia | unfold verdict_le; simpl; lia].
Qed.

(** T5. Authority is monotone: under a smaller policy, with the same tickets, no call is answered better. *)
Theorem decide_monotone_in_authority : forall a b s c now, a <<= b ->
  verdict_le (answer (decide (with_authority s a) c now)) (answer (decide (with_authority s b) c now)).
Proof.
  intros a b s c now H. apply answer_weaker. constructor; try reflexivity.
  - intros k. destruct k; simpl; auto using of_level_mono, of_obligation_mono, of_gate_mono, of_trust_mono,
      of_limit_mono; unfold verdict_le; simpl; lia.
  - intros l. apply allows_le, of_gate_mono, H.
  - intros l. apply allows_le, of_trust_mono, H.
Qed.

(* T6 *)

Lemma full_mono : forall a b, bits_le a b -> full a = true -> full b = true.
Proof.
  unfold full. intros a b H F. apply N.eqb_eq in F. apply N.eqb_eq, N.bits_inj. intros i.
  assert (G : N.testbit (N.land a all_legs) i = N.testbit all_legs i) by now rewrite F.
  rewrite N.land_spec in *. specialize (H i).
  destruct (N.testbit a i), (N.testbit b i), (N.testbit all_legs i); simpl in *; intuition congruence.
Qed.

Lemma of_gate_antitone : forall e e' s c l, bits_le e e' ->
  verdict_le (of_gate (with_exposure s e') c l) (of_gate (with_exposure s e) c l).
Proof.
  intros e e' s c l H. unfold of_gate. cbn [with_exposure exposure authority].
  destruct (negb (has (contribution c) E_EXFIL) || endorsed c); [apply verdict_le_refl|].
  destruct (full (N.ldiff (N.lor e (contribution c)) l)) eqn:F;
    [|apply le_allow].
  assert (F' : full (N.ldiff (N.lor e' (contribution c)) l) = true).
  { revert F. apply full_mono. intros i. rewrite !N.ldiff_spec, !N.lor_spec. specialize (H i).
    destruct (N.testbit e i), (N.testbit e' i), (N.testbit (contribution c) i), (N.testbit l i); simpl;
      intuition congruence. }
  rewrite F'. apply verdict_le_refl.
Qed.

Lemma of_trust_antitone : forall e e' s c l, bits_le e e' ->
  verdict_le (of_trust (with_exposure s e') c l) (of_trust (with_exposure s e) c l).
Proof.
  intros e e' s c l H. unfold of_trust. cbn [with_exposure exposure authority].
  destruct (dimension_of (dimension_code c)) as [d|]; [|apply verdict_le_refl].
  destruct (endorsed c || negb (consequential d)); [apply verdict_le_refl|].
  unfold has. rewrite !N.ldiff_spec. specialize (H (code leg_index E_UNTRUSTED)).
  destruct (N.testbit e _), (N.testbit e' _), (N.testbit l _); cbn [andb negb];
    try apply le_allow; try apply verdict_le_refl; discriminate (H eq_refl).
Qed.

(** T6. Exposure is antitone: a session that has seen more is never answered better, with the same tickets. *)
Theorem decide_antitone_in_exposure : forall e e' s c now, bits_le e e' ->
  verdict_le (answer (decide (with_exposure s e') c now)) (answer (decide (with_exposure s e) c now)).
Proof.
  intros e e' s c now H. apply answer_weaker. constructor; try reflexivity.
  - intros k. destruct k; try exact (verdict_le_refl _);
      [now apply of_gate_antitone | now apply of_trust_antitone].
  - intros l. apply allows_le, of_gate_antitone, H.
  - intros l. apply allows_le, of_trust_antitone, H.
Qed.

(* A part that denies decides. *)
Lemma deny_decides : forall s c now k, part s c now k = V_DENY -> answer (decide s c now) = V_DENY.
Proof.
  intros s c now k H. rewrite answer_eq. pose proof (alone_le s c now k) as L. rewrite H in L.
  destruct (alone s c now); unfold verdict_le in L; simpl in L; (reflexivity || lia).
Qed.

(** T7. A dimension at `never` is denied, whatever the tickets: no approval reaches beyond the policy. *)
Theorem never_is_denied : forall s c now,
  dimension_code c <> none_code -> policy_level (authority s) (dimension_code c) = L_NEVER ->
  answer (decide s c now) = V_DENY.
Proof.
  intros s c now D L. apply deny_decides with (k := C_LEVEL). simpl. unfold of_level.
  rewrite L. apply N.eqb_neq in D. rewrite D. now destruct (risk_of _).
Qed.

(** T8. The decision is a total function: every state, call and time has one decision, of seven parts, and the answer to
    a risk, a dimension or a mode that does not exist is deny. *)
Theorem decide_total : forall s c now,
  (exists! d, decide s c now = d) /\ length (parts (decide s c now)) = length all_component /\
  (N.of_nat (length all_risk) <= risk_code c -> answer (decide s c now) = V_DENY) /\
  (none_code < dimension_code c -> answer (decide s c now) = V_DENY) /\
  (trifecta (authority s) <> ask_code -> part s c now C_GATE <> V_ALLOW -> answer (decide s c now) = V_DENY) /\
  (trusted_action (authority s) <> ask_code -> part s c now C_TRUST <> V_ALLOW -> answer (decide s c now) = V_DENY).
Proof.
  intros s c now. repeat split.
  - exists (decide s c now). split; auto.
  - intros R. apply deny_decides with (k := C_LEVEL). simpl. unfold of_level, risk_of.
    apply N.ltb_ge in R. now rewrite R.
  - intros D. apply never_is_denied; [lia|]. unfold policy_level, dimension_of.
    assert (L : dimension_code c <? dimensions = false) by (apply N.ltb_ge; unfold none_code in D; lia).
    now rewrite L.
  - intros M G. apply deny_decides with (k := C_GATE). simpl in *. unfold of_gate, guard, asks in *.
    apply N.eqb_neq in M. rewrite M in *. destruct (_ || _); [congruence|]. now destruct (full _).
  - intros M G. apply deny_decides with (k := C_TRUST). simpl in *. unfold of_trust, guard, asks in *.
    apply N.eqb_neq in M. rewrite M in *. destruct (dimension_of _); [|congruence].
    destruct (_ || _); [congruence|]. now destruct (has _ _).
Qed.

Lemma reasons_bits : forall ps place i, N.testbit (reasons_from place ps) i =
  (place <=? i) && match nth_error ps (N.to_nat (i - place)) with Some v => negb (allows v) | None => false end.
Proof.
  induction ps as [|v ps IH]; intros place i.
  - cbn [reasons_from]. rewrite N.bits_0. destruct (N.to_nat (i - place)); now rewrite andb_false_r.
  - cbn [reasons_from]. rewrite N.lor_spec, IH.
    assert (B : N.testbit (if allows v then 0 else N.shiftl 1 place) i = (place =? i) && negb (allows v)).
    { destruct (allows v); [now rewrite N.bits_0, andb_false_r|].
      rewrite N.shiftl_1_l, N.pow2_bits_eqb. now rewrite andb_true_r. }
    rewrite B. destruct (N.eqb_spec place i) as [->|E].
    + rewrite N.leb_refl, N.sub_diag. destruct (N.leb_spec (i + 1) i); [lia|]. simpl. now rewrite orb_false_r.
    + destruct (N.leb_spec place i).
      * destruct (N.leb_spec (place + 1) i); [|lia].
        replace (N.to_nat (i - place)) with (S (N.to_nat (i - (place + 1)))) by lia. reflexivity.
      * destruct (N.leb_spec (place + 1) i); [lia|]. reflexivity.
Qed.

(** T9. A call is allowed if and only if every part allows it, or the parts say ask and a ticket in its slot lifts it; the
    reasons are exactly the parts below allow. *)
Theorem allow_iff_all_parts : forall s c now,
  (answer (decide s c now) = V_ALLOW <->
     (forall k, part s c now k = V_ALLOW) \/
     (alone s c now = V_ASK /\ exists i t, lifted_by (decide s c now) = S i /\
        nth_error (tickets s) i = Some t /\ lifts t s c now = true)) /\
  (lifted_by (decide s c now) <> O -> alone s c now = V_ASK) /\
  (forall k, N.testbit (reasons (decide s c now)) (code component_index k) = true <-> part s c now k <> V_ALLOW) /\
  (reasons (decide s c now) = 0 <-> alone s c now = V_ALLOW).
Proof.
  intros s c now.
  assert (R : forall k, N.testbit (reasons (decide s c now)) (code component_index k) = true <->
    part s c now k <> V_ALLOW).
  { intros k. cbn [decide reasons]. rewrite reasons_bits. rewrite N.sub_0_r, andb_true_iff.
    change (map (part s c now) all_component) with
      [part s c now C_LEVEL; part s c now C_OBLIGATION; part s c now C_SCOPE; part s c now C_GATE;
       part s c now C_TRUST; part s c now C_CONFINEMENT; part s c now C_LIMIT].
    unfold code. rewrite Nnat.Nat2N.id.
    destruct k; cbn [component_index nth_error]; generalize (part s c now); intros f; split;
      try (intros [_ H]; now destruct (f _)); intros H; (split; [apply N.leb_le; lia | now destruct (f _)]). }
  repeat split; try apply R.
  - rewrite answer_eq, lifted_by_eq. destruct (alone s c now) eqn:A; try discriminate.
    + unfold usable. destruct (first _ _) as [i|] eqn:F; [|discriminate]. intros _. right. split; auto.
      apply first_some in F as (t & P & Q). exists i, t. auto.
    + intros _. left. now apply alone_allow.
  - rewrite answer_eq, lifted_by_eq. intros [H|(H & i & t & E & _)].
    + apply alone_allow in H. now rewrite H.
    + rewrite H in *. now destruct (usable s c now).
  - rewrite lifted_by_eq. destruct (alone s c now); congruence.
  - intros H. apply alone_allow. intros k. specialize (R k). rewrite H, N.bits_0 in R.
    destruct (part s c now k); auto; destruct R as [_ R]; now discriminate R.
  - intros H. rewrite alone_allow in H. cbn [decide reasons all_component map]. now rewrite !H.
Qed.

Global Arguments decide : simpl never.
