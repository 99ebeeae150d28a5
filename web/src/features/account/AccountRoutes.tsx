import { lazy, Suspense } from 'react';
import { Redirect, Routes } from '@/shared/lib/router';
import { CodePage } from './CodePage';
import { ProviderPage } from './ProviderPage';
import { ResetPage, ResetRequestPage } from './ResetPages';
import { SignInPage } from './SignInPage';
import { SignUpPage } from './SignUpPage';
import { VerifyPage } from './VerifyPage';

const SettingsPage = lazy(() => import('./SettingsPage'));

const ROUTES = [
  ['/account', <SettingsPage key="settings" />],
  ['/account/sign-in', <SignInPage key="sign-in" />],
  ['/account/sign-up', <SignUpPage key="sign-up" />],
  ['/account/code', <CodePage key="code" />],
  ['/account/verify-email/:key', <VerifyPage key="verify-email" />],
  ['/account/password/reset', <ResetRequestPage key="reset-request" />],
  ['/account/password/reset/:key', <ResetPage key="reset" />],
  ['/account/provider/callback', <ProviderPage key="provider" />],
  // Aliases used in mails and by other software.
  ['/account/login', <Redirect key="login" to="/account/sign-in" />],
  ['/account/signup', <Redirect key="signup" to="/account/sign-up" />],
  ['*', <Redirect key="*" to="/account" />],
] as const;

export default function AccountRoutes() {
  return (
    <Suspense fallback={null}>
      <Routes routes={ROUTES} />
    </Suspense>
  );
}
